-- The reports whose accumulated KAP is the published one of their study and room, alone or added to others.
with roles as (
    select * from {{ ref('int_report_role') }}
),

stated as (
    select distinct load_seq
    from {{ ref('stg_dose_total') }}
    where quantity = 'kap'
),

accumulated as (
    select distinct
        study_key,
        room_id
    from {{ ref('int_study_total') }}
    where quantity = 'kap' and total_source = 'accumulated'
),

stating as (
    select
        roles.*,
        bool_and(stated.load_seq is not null) filter (where roles.report_role = 'stays') over (
            partition by roles.study_key, roles.room_id
        ) as is_stated_by_all_that_stay,
        stated.load_seq is not null as is_stated
    from roles
    left join stated on roles.load_seq = stated.load_seq
),

-- Totals 2: only where no report with events gives the KAP, the latest one without events does.
final as (
    select
        stating.load_seq,
        stating.study_key,
        stating.room_id
    from stating
    semi join accumulated on stating.study_key = accumulated.study_key and stating.room_id = accumulated.room_id
    where
        stating.is_stated
        and case
            when stating.is_stated_by_all_that_stay then stating.report_role = 'stays'
            else stating.report_role = 'without_events'
        end
    qualify
        stating.report_role = 'stays'
        or rank() over (
            partition by stating.study_key, stating.room_id, stating.report_role order by stating.version_rank desc
        ) = 1
)

select * from final
