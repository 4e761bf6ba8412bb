-- Effective dose of one study, estimated: coefficient k times DLP (CT) or KAP (XA). Each irradiation event gets the
-- coefficient of its region, age band, phantom and copper filter; one that has none leaves the study without an estimate.
with studies as (
    select
        *,
        cast(case modality when 'CT' then dlp_mgy_cm when 'XA' then kap_gy_cm2 end as decimal(18, 9)) as total_dose
    from {{ ref('int_study_dose') }}
),

events as (
    select * from {{ ref('int_event_kap') }}
),

body_regions as (
    select * from {{ ref('body_region') }}
),

classes as (
    select * from {{ ref('procedure_class') }}
),

coefficients as (
    select * from {{ ref('effective_dose_coefficient') }}
),

event_doses as (
    select
        studies.study_key,
        events.target_region,
        events.ctdi_phantom as phantom,
        events.copper_filter_mm,
        case studies.modality when 'CT' then events.dlp_mgy_cm when 'XA' then events.kap_gy_cm2 end as event_dose
    from studies
    inner join events on studies.study_key = events.study_key
    where event_dose > 0
),

-- Events of a study that agree in all that a coefficient asks for are one part.
event_parts as (
    select
        study_key,
        target_region,
        phantom,
        copper_filter_mm,
        cast(sum(event_dose) as decimal(18, 9)) as part_dose
    from event_doses
    group by study_key, target_region, phantom, copper_filter_mm
),

-- A report that states a total and no events is one part, of which nothing is known but the study.
all_parts as (
    select * from event_parts
    union all by name
    select
        studies.study_key,
        studies.total_dose as part_dose
    from studies
    anti join event_parts on studies.study_key = event_parts.study_key
),

parts as (
    select
        studies.modality,
        studies.procedure_type,
        studies.procedure_specialty,
        studies.patient_age_years,
        all_parts.*,
        count(*) over (partition by all_parts.study_key) as n_parts
    from all_parts
    inner join studies on all_parts.study_key = studies.study_key
),

-- Few kinds of parts make up all studies: region and coefficients are looked for once for each kind.
kinds as (
    select distinct
        modality,
        procedure_type,
        procedure_specialty,
        patient_age_years,
        target_region,
        phantom,
        copper_filter_mm
    from parts
),

numbered_kinds as (
    select
        *,
        row_number() over () as kind_no
    from kinds
),

placed_kinds as (
    select
        numbered_kinds.*,
        body_regions.region
    from numbered_kinds
    left join classes on numbered_kinds.procedure_type = classes.procedure_class
    left join body_regions
        on
            numbered_kinds.modality = body_regions.modality
            and body_regions.name = case body_regions.basis
                when 'procedure_type' then numbered_kinds.procedure_type
                when 'target_region' then numbered_kinds.target_region
                when 'specialty' then numbered_kinds.procedure_specialty
                when 'body_region' then classes.body_region
            end
    -- What the acquisition says of CT is nearer than the study's class; a projection's region is often a device default.
    qualify row_number() over (
        partition by numbered_kinds.kind_no
        order by list_position(
            case numbered_kinds.modality
                when 'CT' then ['target_region', 'procedure_type', 'body_region']
                else ['procedure_type', 'target_region', 'specialty', 'body_region']
            end,
            body_regions.basis
        ) nulls last
    ) = 1
),

-- The age must be known: an adult's coefficient on a newborn is wrong by a factor of 15.
kind_factors as (
    select
        placed_kinds.kind_no,
        placed_kinds.region,
        coefficients.copper_from_mm is not null as is_by_copper,
        cast(coefficients.value as decimal(9, 6)) as factor,
        coefficients.unit,
        coefficients.tissue_weights,
        coefficients.source
    from placed_kinds
    inner join coefficients
        on
            placed_kinds.modality = coefficients.modality
            and placed_kinds.region = coefficients.region
            and placed_kinds.patient_age_years >= coefficients.age_from
            and placed_kinds.patient_age_years <= coalesce(coefficients.age_to, placed_kinds.patient_age_years)
            and (coefficients.phantom is null or placed_kinds.phantom = coefficients.phantom)
            and (coefficients.procedure_type is null or placed_kinds.procedure_type = coefficients.procedure_type)
            and (
                coefficients.copper_from_mm is null
                or (
                    placed_kinds.copper_filter_mm >= coefficients.copper_from_mm
                    and placed_kinds.copper_filter_mm < coefficients.copper_to_mm
                )
            )
    qualify row_number() over (
        partition by placed_kinds.kind_no, is_by_copper order by coefficients.procedure_type nulls last
    ) = 1
),

placed as (
    select
        parts.study_key,
        parts.n_parts,
        parts.part_dose,
        placed_kinds.kind_no,
        placed_kinds.region
    from parts
    inner join placed_kinds
        on
            parts.modality = placed_kinds.modality
            and parts.procedure_type is not distinct from placed_kinds.procedure_type
            and parts.procedure_specialty is not distinct from placed_kinds.procedure_specialty
            and parts.patient_age_years is not distinct from placed_kinds.patient_age_years
            and parts.target_region is not distinct from placed_kinds.target_region
            and parts.phantom is not distinct from placed_kinds.phantom
            and parts.copper_filter_mm is not distinct from placed_kinds.copper_filter_mm
),

matched as (
    select
        placed.study_key,
        placed.n_parts,
        placed.part_dose,
        placed.kind_no,
        kind_factors.is_by_copper,
        kind_factors.factor
    from placed
    inner join kind_factors on placed.kind_no = kind_factors.kind_no
),

-- By copper filter where every event tells it, else by class or region.
estimated as (
    select
        study_key,
        is_by_copper,
        coalesce(sum(factor * part_dose) / nullif(sum(part_dose), 0), max(factor)) as mean_factor,
        min(factor) = max(factor) as is_one_factor,
        list_sort(list(kind_no)) as kind_nos
    from matched
    group by study_key, is_by_copper, n_parts
    having count(*) = n_parts
    qualify row_number() over (partition by study_key order by is_by_copper desc) = 1
),

-- Few sets of kinds, too: how an estimate was made is worded once for each.
kind_sets as (
    select distinct
        kind_nos,
        is_by_copper,
        unnest(kind_nos) as kind_no
    from estimated
),

wordings as (
    select
        kind_sets.kind_nos,
        kind_sets.is_by_copper,
        any_value(kind_factors.unit) as unit,
        string_agg(distinct kind_factors.region, ' + ' order by kind_factors.region) as regions,
        string_agg(distinct kind_factors.tissue_weights, ', ' order by kind_factors.tissue_weights) as tissue_weights,
        string_agg(distinct kind_factors.source, '; ' order by kind_factors.source) as sources
    from kind_sets
    inner join kind_factors
        on kind_sets.kind_no = kind_factors.kind_no and kind_sets.is_by_copper = kind_factors.is_by_copper
    group by kind_sets.kind_nos, kind_sets.is_by_copper
),

known_regions as (
    select
        study_key,
        bool_and(region is not null) as is_region_known
    from placed
    group by study_key
),

final as (
    select
        studies.study_key,
        cast(studies.total_dose * estimated.mean_factor as decimal(18, 9)) as effective_dose_estimate_msv,
        case
            when effective_dose_estimate_msv is not null
                then format(
                    'k x {}, {} {:.6g} {}: {}{}, tissue weights {}; {}',
                    case studies.modality when 'CT' then 'DLP' else 'KAP' end,
                    case when estimated.is_one_factor then 'k =' else 'mean k of the events =' end,
                    cast(estimated.mean_factor as double),
                    wordings.unit,
                    wordings.regions,
                    case when estimated.is_by_copper then ' by copper filter' else '' end,
                    wordings.tissue_weights,
                    wordings.sources
                )
        end as effective_dose_method,
        case
            when effective_dose_estimate_msv is not null then null
            when studies.modality not in ('CT', 'XA') then 'modality'
            when studies.total_dose is null then 'no_dose'
            when studies.patient_age_years is null then 'age_unknown'
            when not known_regions.is_region_known then 'region_unknown'
            else 'no_coefficient'
        end as estimate_gap
    from studies
    left join estimated on studies.study_key = estimated.study_key
    left join wordings
        on estimated.kind_nos = wordings.kind_nos and estimated.is_by_copper = wordings.is_by_copper
    left join known_regions on studies.study_key = known_regions.study_key
)

select * from final
