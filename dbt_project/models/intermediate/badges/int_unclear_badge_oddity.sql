-- Serials that records of several sources state on the same days, in intervals of days.
with unclear_badges as (
    select * from {{ ref('int_unclear_badge') }}
),

named as (
    select distinct
        dosimeter_serial,
        measured_date,
        list_aggregate(list_sort(list_append(string_split(other_source_ids, ' '), source_id)), 'string_agg', ', ')
            as source_ids
    from unclear_badges
),

-- Days that follow one another have the same difference to their number.
numbered as (
    select
        *,
        measured_date - cast(
            row_number() over (partition by dosimeter_serial, source_ids order by measured_date) as integer
        ) as interval_no
    from named
),

intervals as (
    select
        dosimeter_serial,
        source_ids,
        min(measured_date) as from_date,
        max(measured_date) as to_date
    from numbered
    group by dosimeter_serial, source_ids, interval_no
),

final as (
    select
        'unclear_badge' as code,
        cast(null as bigint) as load_seq,
        'reference/dosimeters.csv' as path,
        'source_id' as field,
        format(
            'badge {} is in exports of the sources {} from {} to {} and no assignment names them: '
            || 'its dose of these days is assigned to no operator',
            dosimeter_serial,
            source_ids,
            from_date,
            to_date
        ) as message
    from intervals
)

select * from final
