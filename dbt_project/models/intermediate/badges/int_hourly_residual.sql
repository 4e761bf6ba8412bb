-- What an hourly total shows beyond the same badge's rate samples in its span, whatever source these came through.
{{ config(**kept_by('measured_date', 'int_hour_day')) }}
with doses as (
    select * from {{ ref('int_dose_wearer') }}
),

hours as (
    select
        dose_key,
        measured_date,
        dosimeter_serial,
        quantity,
        operator_id,
        worn_at,
        is_not_occupational,
        dose_usv,
        started_at,
        ended_at
    from doses
    where
        layout = 'hourly_totals'
        and token is null
        and {{ is_made_now('measured_date', 'measured_date', 'int_hour_day') }}
),

samples as (
    select
        dosimeter_serial,
        quantity,
        started_at,
        dose_usv
    from doses
    where
        layout = 'rate_samples'
        and token is null
        and dosimeter_serial in (select hours.dosimeter_serial from hours)
        and {{ is_read_now('measured_date', 'measured_date', 'int_hour_day', 'reached_dates') }}
),

-- The moments at which an hour begins or ends cut a badge's time into pieces: each sample is put into its piece once, and the
-- sum over any hour is the difference of two running sums.
moments as (
    select distinct
        dosimeter_serial,
        quantity,
        unnest([started_at, ended_at]) as moment_at
    from hours
),

pieces as (
    select
        moments.dosimeter_serial,
        moments.quantity,
        moments.moment_at,
        sum(samples.dose_usv) as dose_usv
    from samples
    asof inner join moments
        on
            samples.dosimeter_serial = moments.dosimeter_serial
            and samples.quantity = moments.quantity
            and samples.started_at >= moments.moment_at
    group by all
),

running as (
    select
        moments.dosimeter_serial,
        moments.quantity,
        moments.moment_at,
        coalesce(
            sum(pieces.dose_usv) over (
                partition by moments.dosimeter_serial, moments.quantity
                order by moments.moment_at
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as sum_before_usv
    from moments
    left join pieces
        on
            moments.dosimeter_serial = pieces.dosimeter_serial
            and moments.quantity = pieces.quantity
            and moments.moment_at = pieces.moment_at
),

final as (
    select
        hours.dose_key,
        hours.measured_date,
        hours.dosimeter_serial,
        hours.quantity,
        hours.operator_id,
        hours.worn_at,
        hours.is_not_occupational,
        hours.dose_usv,
        cast(
            least(hours.dose_usv, at_end.sum_before_usv - at_start.sum_before_usv) as {{ dose_type() }}
        ) as covered_usv
    from hours
    inner join running as at_start
        on
            hours.dosimeter_serial = at_start.dosimeter_serial
            and hours.quantity = at_start.quantity
            and hours.started_at = at_start.moment_at
    inner join running as at_end
        on
            hours.dosimeter_serial = at_end.dosimeter_serial
            and hours.quantity = at_end.quantity
            and hours.ended_at = at_end.moment_at
)

select * from final
