-- Readings of counters that are a little lower than the reading before and were taken as a correction.
with readings as (
    select * from {{ ref('int_counter_reading') }}
    where is_dip
),

final as (
    select
        'counter_dip' as code,
        load_seq,
        line,
        quantity as field,
        format(
            'counter of badge {} falls from {} to {} µSv: taken as a correction, no dose and no reset; '
            || 'the next step counts from {} µSv',
            dosimeter_serial,
            {{ decimal_text('previous_usv') }},
            {{ decimal_text('value_usv') }},
            {{ decimal_text('highest_usv') }}
        ) as message
    from readings
)

select * from final
