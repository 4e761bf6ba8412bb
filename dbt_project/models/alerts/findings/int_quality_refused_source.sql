-- Sources of which the newest files were all refused: since a change of the export nothing has come in, and no figure shows it.
-- Refused files count as long as they lie where they were found.
with readings as (
    select * from {{ ref('int_file_reading') }}
),

recent as (
    select * from {{ ref('stg_recent_file') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

-- The source of a dose report is none of those that are described: all of them together are one.
placed as (
    select
        readings.load_seq,
        readings.first_seen_at,
        readings.reading_state,
        files.path,
        files.reason,
        case when readings.kind = 'dose_report' then 'dose reports' else sources.source_id end as source_name
    from readings
    inner join files on readings.load_seq = files.load_seq
    left join sources on readings.source_id = sources.source_id
    left join recent on readings.load_seq = recent.load_seq
    where
        readings.reading_state in ('loaded', 'duplicate')
        or (readings.reading_state = 'quarantined' and recent.load_seq is not null)
),

newest as (
    select * from placed
    where source_name is not null
    qualify row_number() over (partition by source_name order by load_seq desc) <= {{ var('newest_files') }}
),

refused as (
    select
        source_name,
        count(*) as n_files,
        arg_max(path, load_seq) as newest_path,
        arg_max(reason, load_seq) as newest_reason,
        max(first_seen_at) as newest_seen_at
    from newest
    group by source_name
    having count(*) = {{ var('newest_files') }} and bool_and(reading_state = 'quarantined')
),

final as (
    select
        'refused_source' as threshold_name,
        'site' as subject_type,
        refused.source_name as detail,
        least(cast(timezone(site.site_timezone, refused.newest_seen_at) as date), {{ as_of() }}) as occurred_on,
        cast(date_trunc('month', occurred_on) as varchar) as period,
        cast(refused.n_files as double) as finding_value,
        format(
            'The newest {} files of {} were all refused, the last one, {}, because: {}.',
            refused.n_files,
            refused.source_name,
            refused.newest_path,
            refused.newest_reason
        ) as message
    from refused
    cross join site
)

select * from final
