-- Region and coefficients of effective dose for each kind of part (int_study_dose_part): by copper filter and without it.
with kinds as (
    select distinct
        kind_no,
        modality,
        procedure_type,
        procedure_specialty,
        patient_age_years,
        target_region,
        phantom,
        copper_filter_mm
    from {{ ref('int_study_dose_part') }}
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

placed_kinds as (
    select
        kinds.*,
        body_regions.region
    from kinds
    left join classes on kinds.procedure_type = classes.procedure_class
    left join body_regions
        on
            kinds.modality = body_regions.modality
            and body_regions.name = case body_regions.basis
                when 'procedure_type' then kinds.procedure_type
                when 'target_region' then kinds.target_region
                when 'specialty' then kinds.procedure_specialty
                when 'body_region' then classes.body_region
            end
    -- In CT the acquisition is more specific than the study's class; a projection's region is often a device default.
    qualify row_number() over (
        partition by kinds.kind_no
        order by list_position(
            case kinds.modality
                when 'CT' then ['target_region', 'procedure_type', 'body_region']
                else ['procedure_type', 'target_region', 'specialty', 'body_region']
            end,
            body_regions.basis
        ) nulls last
    ) = 1
),

-- The age must be known: an adult's coefficient on a newborn is wrong by a factor of 15.
final as (
    select
        placed_kinds.kind_no,
        placed_kinds.region,
        coefficients.copper_from_mm is not null as is_by_copper,
        cast(coefficients.value as decimal(9, 6)) as factor,
        coefficients.unit,
        coefficients.tissue_weights,
        coefficients.source
    from placed_kinds
    left join coefficients
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
)

select * from final
