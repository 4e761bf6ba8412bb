-- What the record versions of a day are made from: the files that have records of it, and how their sources are described.
with file_days as (
    select * from {{ ref('int_file_day') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

final as (
    select
        file_days.record_date,
        list(file_days.load_seq order by file_days.load_seq) as load_seqs,
        cast(sum(file_days.n_records) as bigint) as n_rows,
        {{ fingerprint_of('file_days') }} + {{ fingerprint_of('sources') }} as fingerprint
    from file_days
    inner join site on file_days.site_timezone = site.site_timezone
    left join sources on file_days.source_id = sources.source_id
    group by file_days.record_date
)

select * from final
