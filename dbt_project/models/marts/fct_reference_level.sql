-- Typical values of the site and of each room against diagnostic reference levels: never one procedure against a level.
with procedures as (
    select * from {{ ref('int_procedure') }}
),

studies as (
    select * from {{ ref('int_study_dose') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

site_levels as (
    select * from {{ ref('stg_drl') }}
),

default_levels as (
    select * from {{ ref('diagnostic_reference_level') }}
),

thresholds as (
    select
        max(value) filter (where name = 'min_reference') as min_reference,
        max(value) filter (where name = 'reference_days') as reference_days,
        max(value) filter (where name = 'min_age') as min_age
    from {{ ref('alert_rules') }}
    where rule = 'reference_level'
),

examinations as (
    select
        room_id,
        procedure_type,
        procedure_date as examination_date,
        patient_age_years,
        cast(kap_gy_cm2 as double) as kap,
        cast(ka_r_mgy as double) as ka_r,
        cast(fluoro_time_s as double) as fluoro_time,
        cast(null as double) as ctdi_vol,
        cast(null as double) as dlp
    from procedures
    union all by name
    select
        room_id,
        procedure_type,
        study_date as examination_date,
        patient_age_years,
        cast(ctdi_vol_mgy as double) as ctdi_vol,
        cast(dlp_mgy_cm as double) as dlp
    from studies
    where modality = 'CT'
),

-- Each counts for its room and for the whole site.
recent as (
    select
        unnest([examinations.room_id, null]) as room_id,
        examinations.procedure_type,
        examinations.kap,
        examinations.ka_r,
        examinations.fluoro_time,
        examinations.ctdi_vol,
        examinations.dlp
    from examinations
    cross join thresholds
    where
        examinations.procedure_type != 'unclassified'
        and examinations.examination_date > {{ as_of() }} - cast(thresholds.reference_days as integer)
        and coalesce(examinations.patient_age_years, thresholds.min_age) >= thresholds.min_age
),

judged as (
    unpivot (select * from recent)
    on kap, ka_r, fluoro_time, ctdi_vol, dlp
    into name quantity value examination_value
),

typical_values as (
    select
        room_id,
        procedure_type,
        quantity,
        count(*) as n,
        quantile_cont(examination_value, 0.5) as median,
        quantile_cont(examination_value, 0.25) as q1,
        quantile_cont(examination_value, 0.75) as q3
    from judged
    group by room_id, procedure_type, quantity
),

all_levels as (
    select
        site_levels.procedure_type,
        site_levels.quantity,
        site_levels.drl_value,
        site_levels.drl_year,
        site_levels.drl_scope,
        site_levels.citation,
        true as is_of_file,
        coalesce(site_levels.jurisdiction = site.jurisdiction, false) as is_of_jurisdiction
    from site_levels
    cross join site
    union all
    select
        default_levels.procedure_type,
        default_levels.quantity,
        cast(default_levels.value as decimal(18, 9)) as drl_value,
        default_levels.year as drl_year,
        case when default_levels.jurisdiction = 'eu' then 'european' else 'national' end as drl_scope,
        default_levels.citation,
        false as is_of_file,
        true as is_of_jurisdiction
    from default_levels
    inner join site on default_levels.jurisdiction in (site.jurisdiction, 'eu')
),

-- The site's level, else the national, else the European one. Within a scope drl.csv wins over the product's levels; of
-- several the site's jurisdiction, then the latest year.
levels as (
    select *
    from all_levels
    qualify row_number() over (
        partition by procedure_type, quantity
        order by
            list_position(['site', 'national', 'european'], drl_scope) asc,
            is_of_file desc,
            is_of_jurisdiction desc,
            drl_year desc nulls last
    ) = 1
),

final as (
    select
        typical_values.room_id,
        typical_values.procedure_type,
        typical_values.quantity,
        typical_values.n,
        typical_values.median,
        typical_values.q1,
        typical_values.q3,
        cast(levels.drl_value as double) as drl_value,
        coalesce(levels.drl_scope, 'none') as drl_scope,
        levels.citation as drl_citation,
        typical_values.median / cast(levels.drl_value as double) as ratio_to_drl,
        case
            when typical_values.n < thresholds.min_reference then 'too_few'
            when levels.drl_value is null then 'no_drl'
            when typical_values.median > cast(levels.drl_value as double) then 'above'
            else 'at_or_below'
        end as status
    from typical_values
    cross join thresholds
    left join levels
        on typical_values.procedure_type = levels.procedure_type and typical_values.quantity = levels.quantity
)

select * from final
