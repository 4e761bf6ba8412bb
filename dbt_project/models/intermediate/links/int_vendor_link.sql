-- Totals that the vendor's system already put to a study: linked to that study's procedure (contract, linking rule 5).
with doses as (
    select * from {{ ref('int_dose_evidence') }}
    where layout = 'procedure_totals' and excluded_reason is null and manual_procedure_id is null
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

named as (
    select
        doses.dose_key,
        procedures.procedure_id
    from doses
    inner join procedures
        on
            doses.study_instance_uid = procedures.study_instance_uid
            or (doses.study_instance_uid is null and doses.accession_number = procedures.accession_number)
),

counted as (
    select
        dose_key,
        count(*) as n_procedures,
        min(procedure_id) as procedure_id,
        string_agg(procedure_id, ' ' order by procedure_id) as candidates
    from named
    group by dose_key
),

final as (
    select
        doses.dose_key,
        doses.measured_date,
        case when counted.n_procedures = 1 then 'vendor' else 'unlinked' end as disposition,
        case
            when counted.n_procedures = 1 then null
            when counted.n_procedures > 1 then 'ambiguous_procedure'
            else 'no_procedure'
        end as reason,
        case when counted.n_procedures = 1 then counted.procedure_id end as procedure_id,
        case when counted.n_procedures > 1 then counted.candidates end as candidates
    from doses
    left join counted on doses.dose_key = counted.dose_key
)

select * from final
