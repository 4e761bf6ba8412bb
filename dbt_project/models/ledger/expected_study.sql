with expected_studies as (
    select * from {{ ref('int_expected_study') }}
),

final as (
    select
        study_instance_uid,
        accession_number,
        known_from,
        expected_date,
        has_report,
        reason
    from expected_studies
)

select * from final
