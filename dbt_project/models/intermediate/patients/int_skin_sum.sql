-- Skin dose of one body region by a procedure: in it alone, and together with the patient's procedures of the days
-- before. A procedure of unknown region adds to every region of the patient. Ka,r is that of a procedure's highest plane;
-- planes are never added. KAP counts where Ka,r is unknown, fluoroscopy time where both are.
with procedures as (
    select
        procedures.procedure_id,
        procedures.patient_key,
        procedures.procedure_date,
        coalesce(procedures.started_at, cast(procedures.procedure_date as timestamptz)) as ordered_at,
        classes.body_region,
        procedures.ka_r_mgy,
        case when procedures.ka_r_mgy is null then procedures.kap_gy_cm2 end as kap_gy_cm2,
        case
            when procedures.ka_r_mgy is null and procedures.kap_gy_cm2 is null then procedures.fluoro_time_s
        end as fluoro_time_s
    from {{ ref('int_procedure') }} as procedures
    left join {{ ref('procedure_class') }} as classes on procedures.procedure_type = classes.procedure_class
),

extents as (
    select
        case name when 'sum_days' then 'days' when 'year_days' then 'year' end as extent,
        cast(threshold_value as integer) as extent_days
    from {{ ref('int_rule_threshold') }}
    where rule = 'patient_dose' and is_enabled and name in ('sum_days', 'year_days')
    union all
    select
        'one' as extent,
        1 as extent_days
),

-- Each procedure with itself, and with the earlier ones of its patient within the days.
pairs as (
    select
        procedures.procedure_id,
        procedures.body_region as own_region,
        procedures.procedure_id as member_id,
        extents.extent,
        extents.extent_days
    from procedures
    cross join extents
    union all
    select
        procedures.procedure_id,
        procedures.body_region as own_region,
        earlier.procedure_id as member_id,
        extents.extent,
        extents.extent_days
    from procedures
    inner join procedures as earlier
        on
            procedures.patient_key = earlier.patient_key
            and (earlier.ordered_at, earlier.procedure_id) < (procedures.ordered_at, procedures.procedure_id)
    inner join extents
        on
            extents.extent != 'one'
            and earlier.procedure_date > procedures.procedure_date - extents.extent_days
),

members as (
    select
        pairs.procedure_id,
        pairs.own_region,
        pairs.extent,
        pairs.extent_days,
        procedures.body_region,
        procedures.ka_r_mgy,
        procedures.kap_gy_cm2,
        procedures.fluoro_time_s
    from pairs
    inner join procedures on pairs.member_id = procedures.procedure_id
),

-- The regions in which a procedure is judged: its own; without one, those of the patient's other procedures.
judged_regions as (
    select distinct
        procedure_id,
        extent,
        coalesce(own_region, body_region, 'unknown') as body_region
    from members
),

final as (
    select
        members.procedure_id,
        members.extent,
        judged_regions.body_region,
        members.extent_days,
        count(*) as n_procedures,
        count(*) filter (where members.body_region is null) as n_unknown_region,
        count(members.ka_r_mgy) as n_ka_r,
        count(members.kap_gy_cm2) as n_kap,
        count(members.fluoro_time_s) as n_fluoro_time,
        sum(members.ka_r_mgy) as ka_r_mgy,
        sum(cast(members.kap_gy_cm2 as decimal(38, 12))) as kap_gy_cm2,
        sum(members.fluoro_time_s) as fluoro_time_s,
        max(members.ka_r_mgy) as highest_ka_r_mgy,
        max(members.kap_gy_cm2) as highest_kap_gy_cm2,
        max(members.fluoro_time_s) as highest_fluoro_time_s
    from members
    inner join judged_regions
        on
            members.procedure_id = judged_regions.procedure_id
            and members.extent = judged_regions.extent
            and coalesce(members.body_region, judged_regions.body_region) = judged_regions.body_region
    group by members.procedure_id, members.extent, judged_regions.body_region, members.extent_days
)

select * from final
