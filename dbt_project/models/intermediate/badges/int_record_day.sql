-- What the record versions of a day are made from: the files in force that have records of it, and how their sources are
-- described. Totals by study are dated by their studies, and which of them compete depends on as_of.
with file_days as (
    select * from {{ ref('int_file_day') }}
),

readings as (
    select
        load_seq,
        order_seq,
        first_seen_at
    from {{ ref('int_file_reading') }}
    where reading_state = 'loaded'
),

sources as (
    select * from {{ ref('stg_source') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

studies as (
    select {{ fingerprint_of('study_instance_uid, accession_number, procedure_date') }} as fingerprint
    from {{ ref('int_procedure') }}
),

days as (
    select
        file_days.record_date,
        list(distinct file_days.load_seq order by file_days.load_seq) as load_seqs,
        cast(sum(file_days.n_records) as bigint) as n_rows,
        {{ fingerprint_of('file_days') }}
        + {{ fingerprint_of('readings') }}
        + {{ fingerprint_of('sources') }} as fingerprint
    from file_days
    inner join site on file_days.site_timezone = site.site_timezone
    inner join readings on file_days.load_seq = readings.load_seq
    left join sources on file_days.source_id = sources.source_id
    group by file_days.record_date
),

final as (
    select
        days.record_date,
        days.load_seqs,
        days.n_rows,
        case
            when days.record_date = {{ undated() }}
                then cast(hash(days.fingerprint, studies.fingerprint, {{ as_of() }}) as hugeint)
            else days.fingerprint
        end as fingerprint
    from days
    cross join studies
)

select * from final
