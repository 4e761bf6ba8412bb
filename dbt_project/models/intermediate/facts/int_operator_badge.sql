-- One electronic over-apron badge of one operator in one procedure: its linked and apportioned dose, or its mere presence.
with disposed_doses as (
    select * from {{ ref('int_disposed_dose') }}
    where
        quantity = 'hp10'
        and procedure_id is not null
        and operator_id is not null
        and worn_at in ('over_apron_collar', 'over_apron_chest')
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

assignments as (
    select * from {{ ref('stg_badge_assignment') }}
    where worn_at in ('over_apron_collar', 'over_apron_chest')
),

badge_overlaps as (
    select * from {{ ref('stg_badge_overlap') }}
),

presences as (
    select * from {{ ref('int_badge_presence') }}
),

badge_days as (
    select * from {{ ref('int_badge_day') }}
),

electronic as (
    select distinct
        dosimeter_serial,
        source_id
    from badge_days
    where layout != 'badge_periods'
),

sources as (
    select * from {{ ref('stg_source') }}
),

methods as (
    select
        disposed_doses.procedure_id,
        disposed_doses.operator_id,
        disposed_doses.dosimeter_serial,
        disposed_doses.badge_key,
        disposed_doses.worn_at,
        disposed_doses.disposition,
        cast(sum(disposed_doses.n_records) as bigint) as n_records,
        bool_or(disposed_doses.layout not in ('hourly_totals', 'counter_log')) as is_sign_of_life,
        {{ dose_sum('disposed_doses.dose_usv') }} as dose_usv,
        bool_and(disposed_doses.is_clock_known) as is_clock_known,
        max(
            case
                when disposed_doses.layout = 'rate_samples'
                    then cast(disposed_doses.highest_dose_usv as double) * 3600 / cast(sources.sample_seconds as double)
                else cast(disposed_doses.peak_rate_usv_per_h as double)
            end
        ) as peak_rate_usv_per_h
    from disposed_doses
    left join sources on disposed_doses.source_id = sources.source_id
    group by all
),

dosed as (
    select
        procedure_id,
        operator_id,
        dosimeter_serial,
        badge_key,
        min(worn_at) as worn_at,
        coalesce(sum(n_records) filter (where disposition != 'apportioned'), 0) as n_linked_records,
        cast(sum(dose_usv) filter (where disposition != 'apportioned') as {{ dose_type() }}) as linked_usv,
        cast(
            coalesce(sum(dose_usv) filter (where disposition = 'apportioned'), 0) as {{ dose_type() }}
        ) as apportioned_usv,
        arg_max(
            disposition,
            {
                'dose': dose_usv,
                'order': -list_position(['manual', 'event', 'window', 'session', 'vendor'], disposition)
            }
        ) filter (where disposition != 'apportioned') as link_method,
        bool_and(is_clock_known) as is_clock_known,
        bool_or(is_sign_of_life) as is_sign_of_life,
        max(peak_rate_usv_per_h) filter (where disposition != 'apportioned') as peak_rate_usv_per_h
    from methods
    group by procedure_id, operator_id, dosimeter_serial, badge_key
),

-- The badges that a person of the logbook should have worn that day.
expected as (
    select distinct
        logbook.procedure_id,
        logbook.operator_id,
        assignments.dosimeter_serial,
        {{ badge_key('assignments.dosimeter_serial', 'assignments.source_ids') }} as badge_key,
        assignments.worn_at
    from logbook
    inner join assignments
        on
            logbook.operator_id = assignments.operator_id
            and {{ is_valid_on('assignments', 'logbook.procedure_date') }}
    inner join electronic
        on
            assignments.dosimeter_serial = electronic.dosimeter_serial
            and {{ holds_in('electronic.source_id', 'assignments.source_ids') }}
    left join badge_overlaps
        on
            assignments.dosimeter_serial = badge_overlaps.dosimeter_serial
            and electronic.source_id = coalesce(badge_overlaps.source_id, electronic.source_id)
            and {{ is_valid_on('badge_overlaps', 'logbook.procedure_date', prefix='') }}
    where badge_overlaps.dosimeter_serial is null
),

final as (
    select
        coalesce(dosed.procedure_id, expected.procedure_id) as procedure_id,
        coalesce(dosed.operator_id, expected.operator_id) as operator_id,
        coalesce(dosed.dosimeter_serial, expected.dosimeter_serial) as dosimeter_serial,
        coalesce(dosed.badge_key, expected.badge_key) as badge_key,
        coalesce(dosed.worn_at, expected.worn_at) as worn_at,
        coalesce(dosed.n_linked_records, 0) as n_linked_records,
        dosed.linked_usv,
        coalesce(dosed.apportioned_usv, 0) as apportioned_usv,
        dosed.link_method,
        dosed.is_clock_known,
        dosed.peak_rate_usv_per_h,
        case
            when coalesce(dosed.linked_usv, 0) + coalesce(dosed.apportioned_usv, 0) > 0 then 'measured'
            -- Hourly and counter rows of 0 count only where int_badge_presence has them.
            when coalesce(dosed.is_sign_of_life, false) or presences.procedure_id is not null then 'zero'
            else 'missing'
        end as badge_status
    from dosed
    full outer join expected
        on
            dosed.procedure_id = expected.procedure_id
            and dosed.operator_id = expected.operator_id
            and dosed.badge_key = expected.badge_key
    left join presences
        on
            expected.procedure_id = presences.procedure_id
            and expected.operator_id = presences.operator_id
            and expected.badge_key = presences.badge_key
)

select * from final
