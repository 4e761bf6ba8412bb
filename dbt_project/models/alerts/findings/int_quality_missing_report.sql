-- Months with studies of which no dose report counts.
with expected_studies as (
    select * from {{ ref('int_expected_study') }}
),

final as (
    select
        'missing_report' as threshold_name,
        'site' as subject_type,
        strftime(expected_date, '%Y-%m') as period,
        min(expected_date) as occurred_on,
        cast(count(*) as double) as finding_value,
        format(
            'Of {} studies of {} no dose report counts: {}.',
            count(*),
            period,
            left(
                string_agg(
                    coalesce(accession_number, study_instance_uid),
                    ', ' order by expected_date, accession_number, study_instance_uid
                ),
                300
            )
        ) as message
    from expected_studies
    where reason in ('missing', 'report_not_counted', 'not_retrieved')
    group by period
)

select * from final
