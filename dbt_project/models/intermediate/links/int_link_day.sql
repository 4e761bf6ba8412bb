-- What the links of a day's samples are made from: the doses of the day, the rooms that evidence allows them, and every
-- procedure that they may touch. A procedure over midnight makes its days one another's neighbours: how often a badge was at
-- its beams is counted over both (contract, linking rule 2).
with sample_rooms as (
    select * from {{ ref('int_sample_room') }}
),

dose_days as (
    select * from {{ ref('int_dose_day') }}
),

procedure_clocks as (
    select
        placed.*,
        hash(placed) as row_hash
    from {{ ref('int_procedure_clock') }} as placed
),

beam_on as (
    select * from {{ ref('int_beam_on') }}
),

-- By numbers: what a beam has from its procedure is in the procedure's row.
beams as (
    select
        procedure_hash,
        clock_basis,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        {{ fingerprint_of('event_hash, plane, started_at, ended_at') }} as fingerprint
    from beam_on
    group by procedure_hash, clock_basis
),

-- As far as a sample can be away and still touch it.
reaches as (
    select
        procedure_clocks.procedure_id,
        procedure_clocks.clock_basis,
        {{ var('window_margin_s') }} + {{ var('event_tolerance_s') }} + procedure_clocks.uncertainty_s as margin_s,
        {{ moved_by('least(procedure_clocks.started_at, beams.started_at)', '-margin_s') }} as from_at,
        {{ moved_by('greatest(procedure_clocks.ended_at, beams.ended_at)', 'margin_s') }} as to_at,
        procedure_clocks.row_hash + coalesce(beams.fingerprint, 0) as fingerprint
    from procedure_clocks
    left join beams
        on
            procedure_clocks.procedure_hash = beams.procedure_hash
            and procedure_clocks.clock_basis = beams.clock_basis
),

sample_days as (
    select
        measured_date,
        clock_basis,
        min(first_started_at) as from_at,
        max(last_ended_at) as to_at,
        {{ fingerprint_of('sample_rooms') }} as fingerprint
    from sample_rooms
    group by measured_date, clock_basis
),

touched as (
    select
        sample_days.measured_date,
        sample_days.clock_basis,
        reaches.procedure_id,
        reaches.fingerprint
    from sample_days
    inner join reaches
        on
            sample_days.clock_basis = reaches.clock_basis
            and sample_days.from_at <= reaches.to_at
            and sample_days.to_at >= reaches.from_at
),

days as (
    select
        dose_days.measured_date,
        any_value(dose_days.n_rows) as n_rows,
        any_value(dose_days.fingerprint)
        + cast(sum(sample_days.fingerprint) as hugeint) as fingerprint
    from dose_days
    inner join sample_days on dose_days.measured_date = sample_days.measured_date
    group by dose_days.measured_date
),

touched_days as (
    select
        measured_date,
        sum(fingerprint) as fingerprint
    from touched
    group by measured_date
),

neighbours as (
    select
        touched.measured_date,
        other_days.measured_date as neighbour_date
    from touched
    inner join touched as other_days
        on touched.procedure_id = other_days.procedure_id and touched.clock_basis = other_days.clock_basis
    union
    select
        measured_date,
        measured_date as neighbour_date
    from days
),

final as (
    select
        neighbours.measured_date,
        list(neighbours.neighbour_date order by neighbours.neighbour_date) as neighbour_dates,
        cast(sum(days.n_rows) as bigint) as n_rows,
        cast(
            hash(sum(days.fingerprint), sum(coalesce(touched_days.fingerprint, 0)), neighbour_dates) as hugeint
        ) as fingerprint
    from neighbours
    inner join days on neighbours.neighbour_date = days.measured_date
    left join touched_days on neighbours.neighbour_date = touched_days.measured_date
    group by neighbours.measured_date
)

select * from final
