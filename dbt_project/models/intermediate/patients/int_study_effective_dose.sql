-- Effective dose of one study, estimated: coefficient k times DLP (CT) or KAP (XA). Each irradiation event gets the
-- coefficient of its region, age band, phantom and copper filter; one that has none leaves the study without an estimate.
with studies as (
    select
        *,
        cast(case modality when 'CT' then dlp_mgy_cm when 'XA' then kap_gy_cm2 end as decimal(18, 9)) as total_dose
    from {{ ref('int_study_dose') }}
),

parts as (
    select * from {{ ref('int_study_dose_part') }}
),

kind_coefficients as (
    select * from {{ ref('int_kind_coefficient') }}
),

kind_factors as (
    select * from kind_coefficients
    where factor is not null
),

matched as (
    select
        parts.study_key,
        parts.n_parts,
        parts.part_dose,
        parts.kind_no,
        kind_factors.is_by_copper,
        kind_factors.factor
    from parts
    inner join kind_factors on parts.kind_no = kind_factors.kind_no
),

-- By copper filter where every event states it, else by class or region.
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

-- Studies have few different sets of kinds: the method is worded once for each set.
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
        parts.study_key,
        bool_and(kind_coefficients.region is not null) as is_region_known
    from parts
    inner join kind_coefficients on parts.kind_no = kind_coefficients.kind_no
    group by parts.study_key
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
