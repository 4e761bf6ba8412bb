-- What makes it uncertain which studies are one patient's: IDs that differ from another in leading zeros only, where the site
-- does not state that these are one; and IDs without issuer that belonged to one issuer's patient until a second was known.
with patients as (
    select * from {{ ref('int_patient') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

ids as (
    select
        patient_id_stripped_key,
        patient_id_key,
        min(first_date) as first_date
    from patients
    group by patient_id_stripped_key, patient_id_key
),

later_ids as (
    select *
    from ids
    qualify row_number() over (
        partition by patient_id_stripped_key order by first_date nulls first, patient_id_key
    ) > 1
),

alike as (
    select
        'patient_ids_alike' as threshold_name,
        strftime(later_ids.first_date, '%Y-%m') as period,
        min(later_ids.first_date) as occurred_on,
        count(*) as n_ids,
        '{} patient IDs, new in {}, differ from an earlier one in leading zeros only: they count as other patients.'
            as message_form
    from later_ids
    cross join site
    where not site.is_patient_id_stripped
    group by period
),

undone as (
    select
        'patient_merge_undone' as threshold_name,
        strftime(second_issuer_date, '%Y-%m') as period,
        min(second_issuer_date) as occurred_on,
        count(distinct patient_id_key) as n_ids,
        '{} patient IDs got a second issuer in {}: studies without issuer count as a patient of their own again.'
            as message_form
    from patients
    where is_merge_undone
    group by period
),

together as (
    select * from alike
    union all
    select * from undone
),

final as (
    select
        threshold_name,
        'site' as subject_type,
        period,
        coalesce(occurred_on, {{ as_of() }}) as occurred_on,
        cast(n_ids as double) as finding_value,
        format(message_form, n_ids, coalesce(period, 'no dated study')) as message
    from together
)

select * from final
