-- Which stated identities are one patient. An ID without issuer is the patient of the one issuer that is known for this ID;
-- with several issuers each is a patient of its own, and so is the ID without any. A merged patient has the key of the identity
-- that was known first, so that a later report changes no key; after a second issuer the first one keeps it.
with reports as (
    select * from {{ ref('int_known_report') }}
    where stated_patient_key is not null
),

site as (
    select * from {{ ref('stg_site') }}
),

identities as (
    select
        reports.stated_patient_key,
        reports.issuer_key,
        reports.patient_id_key,
        reports.patient_id_stripped_key,
        case
            when site.is_patient_id_stripped then reports.patient_id_stripped_key
            else reports.patient_id_key
        end as compared_id_key,
        min(reports.report_date) as first_date,
        -- In the order in which they became known.
        row_number() over (
            order by min(reports.report_date) nulls last, min(reports.load_seq)
        ) as known_rank
    from reports
    cross join site
    group by all
),

issuers as (
    select
        compared_id_key,
        issuer_key,
        min(first_date) as first_date,
        row_number() over (partition by compared_id_key order by min(known_rank)) as issuer_rank
    from identities
    where issuer_key is not null
    group by compared_id_key, issuer_key
),

ids as (
    select
        compared_id_key,
        count(*) as n_issuers,
        max(first_date) filter (where issuer_rank = 2) as second_issuer_date
    from issuers
    group by compared_id_key
),

-- The first issuer and the identities without issuer are the holders of an ID's first key.
placed as (
    select
        identities.*,
        coalesce(ids.n_issuers, 0) as n_issuers,
        ids.second_issuer_date,
        coalesce(issuers.issuer_rank, 1) as holder_no,
        case
            when coalesce(ids.n_issuers, 0) <= 1 then 'merged'
            else coalesce(identities.issuer_key, 'no issuer')
        end as patient_name
    from identities
    left join issuers
        on identities.compared_id_key = issuers.compared_id_key and identities.issuer_key = issuers.issuer_key
    left join ids on identities.compared_id_key = ids.compared_id_key
),

keyed as (
    select
        *,
        min_by(stated_patient_key, known_rank) over (partition by compared_id_key, holder_no) as first_key,
        min(first_date) filter (where issuer_key is null) over (partition by compared_id_key) as first_unissued_date
    from placed
),

final as (
    select
        stated_patient_key,
        case
            when patient_name != 'no issuer' then first_key
            -- Its own key went to the patient of the first issuer while they were one.
            when first_key = stated_patient_key then {{ key_of(['stated_patient_key', 'patient_name']) }}
            else stated_patient_key
        end as patient_key,
        patient_id_key,
        patient_id_stripped_key,
        first_date,
        n_issuers,
        -- There was a date on which the ID had one issuer only, and studies without any.
        n_issuers > 1 and coalesce(first_unissued_date < second_issuer_date, false) as is_merge_undone,
        second_issuer_date
    from keyed
)

select * from final
