-- The report objects that count, with patient and the order of versions; older versions of an object stay, marked, for the
-- ledger. Equal SOP Instance UIDs are versions of one object, unless the patients differ, or study and device both do.
with reports as (
    select * exclude (issuer_key, patient_id_key, patient_id_stripped_key) from {{ ref('int_known_report') }}
),

patients as (
    select * from {{ ref('int_patient') }}
),

ordered as (
    select
        reports.*,
        patients.patient_key,
        -- Latest = content date and time, then instance number, then load sequence (contract, Totals 3).
        row_number() over (
            order by reports.content_local nulls first, reports.instance_number nulls first, reports.load_seq
        ) as version_rank,
        -- The same order without the load sequence: reports that share it are equally late.
        dense_rank() over (
            order by reports.content_local nulls first, reports.instance_number nulls first
        ) as lateness
    from reports
    left join patients on reports.stated_patient_key = patients.stated_patient_key
),

same_uid as (
    select * from ordered
    qualify count(*) over (partition by sop_instance_uid) > 1
),

-- What is not stated is no difference.
pairs as (
    select
        own.load_seq,
        other.load_seq as other_load_seq,
        other.version_rank as other_version_rank,
        coalesce(own.patient_key != other.patient_key, false)
        or coalesce(
            own.study_instance_uid != other.study_instance_uid and own.device_serial != other.device_serial, false
        ) as is_reused,
        -- Equally late objects that name different studies are no versions: who owns their events decides.
        other.lateness > own.lateness
        or (
            other.lateness = own.lateness
            and other.load_seq > own.load_seq
            and case when other.n_events > 0 then other.study_key end
            is not distinct from case when own.n_events > 0 then own.study_key end
        ) as is_later
    from same_uid as own
    inner join same_uid as other on own.sop_instance_uid = other.sop_instance_uid
),

versions as (
    select
        load_seq,
        not bool_or(is_later and not is_reused) as is_latest_of_sop,
        max_by(other_load_seq, other_version_rank) filter (where not is_reused) as winner_load_seq,
        min(other_load_seq) filter (where is_reused) as reused_by_load_seq
    from pairs
    group by load_seq
),

final as (
    select
        ordered.*,
        -- Incremental tables have a date partition for reports that state no date, too.
        coalesce(ordered.report_date, date '0001-01-01') as report_day,
        coalesce(versions.is_latest_of_sop, true) as is_latest_of_sop,
        coalesce(versions.winner_load_seq, ordered.load_seq) as winner_load_seq,
        versions.reused_by_load_seq
    from ordered
    left join versions on ordered.load_seq = versions.load_seq
)

select * from final
