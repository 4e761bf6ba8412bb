-- Two independent paths: what the cells of each file state, counted by the reader; what became of its rows, summed from their
-- dispositions (contract, version 2, section 1: the first that fits).
{% set dispositions = [
    'counted', 'repeated', 'replaced', 'conflicting', 'after_as_of', 'rejected', 'superseded', 'withdrawn'
] %}
with statements as (
    select * from {{ ref('stg_file_statement') }}
),

files as (
    select * from {{ ref('file') }}
    where kind = 'dosimeter'
),

reader_files as (
    select * from {{ ref('stg_file') }}
    where kind = 'dosimeter'
),

readings as (
    select * from {{ ref('int_file_reading') }}
    where kind = 'dosimeter'
),

sources as (
    select * from {{ ref('stg_source') }}
),

record_balances as (
    select * from {{ ref('int_record_balance') }}
),

file_days as (
    select * from {{ ref('int_file_day') }}
),

rejected_doses as (
    select * from {{ ref('stg_rejected_dose') }}
),

-- Rows of files in force, as they compare with one another.
compared as (
    select
        load_seq,
        quantity,
        case when measured_date > {{ as_of() }} then 'after_as_of' else row_disposition end as disposition,
        n_rows,
        value_usv
    from record_balances
),

rejected as (
    select
        load_seq,
        quantity,
        count(*) as n_rows,
        coalesce(sum(value_usv), 0) as value_usv
    from rejected_doses
    group by all
),

-- A reading that was taken back has no row in force: all that it holds has one disposition.
taken_back as (
    select
        held.load_seq,
        held.quantity,
        readings.reading_state as disposition,
        held.n_rows,
        held.value_usv
    from (
        select
            load_seq,
            quantity,
            n_records as n_rows,
            value_usv
        from file_days
        union all
        select * from rejected
    ) as held
    inner join readings on held.load_seq = readings.load_seq
    where readings.reading_state in ('superseded', 'withdrawn')
),

-- Of a file that was refused after it had been read only its statement remains.
refused as (
    select
        statements.load_seq,
        statements.quantity,
        case when readings.reading_state = 'withdrawn' then 'withdrawn' else 'rejected' end as disposition,
        statements.rows_stated as n_rows,
        statements.stated_usv as value_usv
    from statements
    inner join readings on statements.load_seq = readings.load_seq
    inner join reader_files on statements.load_seq = reader_files.load_seq
    where reader_files.status = 'quarantined'
),

read_parts as (
    select * from compared
    union all by name
    select
        rejected.*,
        'rejected' as disposition
    from rejected
    inner join readings on rejected.load_seq = readings.load_seq
    where readings.reading_state = 'loaded'
    union all by name
    select * from taken_back
    union all by name
    select * from refused
),

-- A file with the bytes of another one is not read: it states what the reading of these bytes that is in force states.
duplicates as (
    select
        copies.load_seq,
        copies.reading_state,
        case
            when copies.reading_state = 'superseded' then copies.duplicate_of else in_force.load_seq
        end as original_load_seq
    from readings as copies
    inner join readings as originals on copies.duplicate_of = originals.load_seq
    left join readings as in_force
        on originals.order_seq = in_force.order_seq and in_force.reading_state != 'superseded'
),

parts as (
    select * from read_parts
    union all by name
    select
        duplicates.load_seq,
        read_parts.quantity,
        case
            when duplicates.reading_state in ('superseded', 'withdrawn') then duplicates.reading_state
            when read_parts.disposition in ('counted', 'replaced', 'conflicting') then 'repeated'
            else read_parts.disposition
        end as disposition,
        read_parts.n_rows,
        read_parts.value_usv
    from duplicates
    inner join read_parts on duplicates.original_load_seq = read_parts.load_seq
),

disposed as (
    select
        load_seq,
        quantity,
        {% for name in dispositions %}
            cast(coalesce(sum(n_rows) filter (where disposition = '{{ name }}'), 0) as bigint) as rows_{{ name }},
            {{ dose_sum("case when disposition = '" ~ name ~ "' then value_usv end") }} as {{ name }}_usv,
        {% endfor %}
        cast(sum(n_rows) as bigint) as rows_disposed,
        {{ dose_sum('value_usv') }} as disposed_usv
    from parts
    group by all
),

stated as (
    select
        load_seq,
        quantity,
        rows_stated,
        stated_usv
    from statements
    union all
    select
        duplicates.load_seq,
        statements.quantity,
        statements.rows_stated,
        statements.stated_usv
    from duplicates
    inner join statements on duplicates.original_load_seq = statements.load_seq
),

counters as (
    select distinct load_seq
    from record_balances
    where is_counter
),

balanced as (
    select
        disposed.* exclude (load_seq, quantity),
        coalesce(stated.load_seq, disposed.load_seq) as load_seq,
        coalesce(stated.quantity, disposed.quantity) as quantity,
        coalesce(stated.rows_stated, 0) as rows_stated,
        coalesce(stated.stated_usv, 0) as stated_usv
    from stated
    full outer join disposed on stated.load_seq = disposed.load_seq and stated.quantity = disposed.quantity
),

-- Readings of a counter are no doses: their rows balance, their sums mean nothing.
judged as (
    select
        balanced.*,
        files.path,
        files.sha256,
        files.source_id,
        coalesce(sources.layout = 'counter_log' or sources.counter = 'cumulative', false)
        or counters.load_seq is not null as is_cumulative
    from balanced
    inner join files on balanced.load_seq = files.load_seq
    left join sources on files.source_id = sources.source_id
    left join counters on balanced.load_seq = counters.load_seq
),

final as (
    select
        load_seq,
        path,
        sha256,
        source_id,
        quantity,
        rows_stated,
        {% for name in dispositions %}
            coalesce(rows_{{ name }}, 0) as rows_{{ name }},
            case when not is_cumulative then coalesce({{ name }}_usv, 0.0) end as {{ name }}_usv,
        {% endfor %}
        rows_stated - coalesce(rows_disposed, 0) as imbalance_rows,
        cast(case when not is_cumulative then stated_usv end as {{ dose_type() }}) as stated_usv,
        cast(
            case when not is_cumulative then stated_usv - coalesce(disposed_usv, 0) end as {{ dose_type() }}
        ) as imbalance_usv
    from judged
)

select * from final
