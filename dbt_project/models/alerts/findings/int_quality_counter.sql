-- Readings of counters that count by the rules and are yet doubtful: a reset that leaves much of the reading before, and a rise
-- that the next reading takes back (a spike). A reading of 0 after a rise is what a reset shows, no spike.
with readings as (
    select * from {{ ref('int_counter_reading') }}
),

followed as (
    select
        *,
        lead(value_usv) over sequence as next_usv,
        lead(is_reset) over sequence as is_next_reset
    from readings
    window sequence as (partition by source_id, dosimeter_serial, quantity, layout order by nth_reading)
),

resets as (
    select
        *,
        'counter_reset' as threshold_name,
        100 * cast(value_usv as double) / cast(previous_usv as double) as finding_value,
        format(
            'falls from {} to {} µSv and counts as reset, with {} µSv of new dose',
            {{ decimal_text('previous_usv') }},
            {{ decimal_text('value_usv') }},
            {{ decimal_text('value_usv') }}
        ) as what
    from followed
    where is_reset
),

spikes as (
    select
        *,
        'counter_spike' as threshold_name,
        cast(value_usv - previous_usv as double) as finding_value,
        format(
            'rises from {} to {} µSv, and the next reading is {} µSv again: the rise counts as dose',
            {{ decimal_text('previous_usv') }},
            {{ decimal_text('value_usv') }},
            {{ decimal_text('next_usv') }}
        ) as what
    from followed
    where
        value_usv > previous_usv
        and is_next_reset
        and next_usv > 0
        and not {{ is_counter_reset('next_usv', 'previous_usv') }}
),

together as (
    select * from resets
    union all by name
    select * from spikes
),

final as (
    select
        threshold_name,
        'site' as subject_type,
        concat_ws('/', source_id, dosimeter_serial, quantity) as detail,
        strftime(timezone('UTC', read_at), '%Y-%m-%dT%H:%M:%SZ') as period,
        measured_date as occurred_on,
        finding_value,
        format(
            'The counter of badge {} ({}, {}) {}: reading of {}.',
            dosimeter_serial,
            source_id,
            quantity,
            what,
            strftime(timezone(site_timezone, read_at), '%Y-%m-%d %H:%M:%S')
        ) as message
    from together
)

select * from final
