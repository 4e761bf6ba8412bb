-- Exports of which many rows were rejected, or whose dates look swapped: one finding a kind, path and month of the last
-- record, of the reading with most such rows, so that an export that grows is one finding a month.
with files as (
    select * from {{ ref('stg_file') }}
    where load_seq in (
        select readings.load_seq
        from {{ ref('int_file_reading') }} as readings
        where readings.reading_state = 'loaded'
    )
),

statements as (
    select * from {{ ref('stg_file_statement') }}
),

rejected_doses as (
    select * from {{ ref('stg_rejected_dose') }}
),

rejected_rows as (
    select * from {{ ref('stg_rejected_row') }}
),

oddities as (
    select * from {{ ref('stg_finding') }}
    where code = 'swapped_dates'
),

file_days as (
    select * from {{ ref('int_file_day') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

rejected_shares as (
    select threshold_value / 100 as least_share
    from {{ ref('int_alert_threshold') }}
    where rule = 'data_quality' and name = 'rejected_share'
),

stated as (
    select
        load_seq,
        sum(rows_stated) as rows_stated
    from statements
    group by load_seq
),

rejected as (
    select
        load_seq,
        count(*) as rows_rejected,
        coalesce(sum(value_usv), 0) as rejected_usv
    from rejected_doses
    group by load_seq
),

many as (
    select
        rejected.*,
        stated.rows_stated
    from rejected
    inner join stated on rejected.load_seq = stated.load_seq
    cross join rejected_shares
    where rejected.rows_rejected > rejected_shares.least_share * stated.rows_stated
),

counted_reasons as (
    select
        rejected_rows.load_seq,
        rejected_rows.reason,
        count(*) as n_lines,
        min(rejected_rows.line) as first_line
    from rejected_rows
    semi join many on rejected_rows.load_seq = many.load_seq
    group by rejected_rows.load_seq, rejected_rows.reason
),

reasons as (
    select
        load_seq,
        arg_max(
            format('{} lines: {} (first: line {})', n_lines, reason, first_line), (n_lines, -first_line)
        ) as main_reason
    from counted_reasons
    group by load_seq
),

last_days as (
    select
        load_seq,
        max(record_date) as last_record_date
    from file_days
    where record_date <= {{ as_of() }}
    group by load_seq
),

rejections as (
    select
        files.load_seq,
        'rejected_rows' as threshold_name,
        many.rows_rejected as n_rows,
        format(
            '{} of {} rows of {} were rejected{}; most often {}.',
            many.rows_rejected,
            many.rows_stated,
            files.path,
            case
                when sources.layout = 'counter_log' or sources.counter = 'cumulative' then ''
                else format(', with {} µSv that can be read', {{ decimal_text('many.rejected_usv') }})
            end,
            reasons.main_reason
        ) as message
    from many
    inner join files on many.load_seq = files.load_seq
    inner join reasons on many.load_seq = reasons.load_seq
    left join sources on files.source_id = sources.source_id
),

swaps as (
    select
        files.load_seq,
        'swapped_dates' as threshold_name,
        files.rows_loaded as n_rows,
        format('{} records of {}: {}.', files.rows_loaded, files.path, oddities.message) as message
    from oddities
    inner join files on oddities.load_seq = files.load_seq
),

together as (
    select * from rejections
    union all
    select * from swaps
),

dated as (
    select
        together.*,
        files.path,
        coalesce(
            last_days.last_record_date,
            least(cast(timezone(site.site_timezone, files.first_seen_at) as date), {{ as_of() }})
        ) as occurred_on
    from together
    inner join files on together.load_seq = files.load_seq
    left join last_days on together.load_seq = last_days.load_seq
    cross join site
),

worst as (
    select *
    from dated
    qualify
        row_number() over (
            partition by threshold_name, path, date_trunc('month', occurred_on) order by n_rows desc, load_seq desc
        ) = 1
),

final as (
    select
        threshold_name,
        'site' as subject_type,
        path as detail,
        strftime(occurred_on, '%Y-%m') as period,
        occurred_on,
        cast(n_rows as double) as finding_value,
        message
    from worst
)

select * from final
