-- Irradiation events that were sent more than once, each time they were, and which of these counts.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

resent as (
    select * from {{ ref('int_resent_event') }}
),

repeated as (
    select
        resent.irradiation_event_uid,
        resent.load_seq,
        resent.event_no,
        reports.study_key,
        reports.version_rank,
        -- The latest report's study owns the event; of equally late ones the first loaded (contract, Totals 6).
        first_value(reports.study_key) over (
            partition by resent.irradiation_event_uid order by reports.lateness desc, resent.load_seq asc
        ) as owner_study_key
    from resent
    inner join reports on resent.load_seq = reports.load_seq
),

final as (
    select
        irradiation_event_uid,
        load_seq,
        event_no,
        row_number() over (
            partition by irradiation_event_uid
            order by study_key = owner_study_key desc, version_rank desc, event_no asc
        ) = 1 as is_counting
    from repeated
)

select * from final
