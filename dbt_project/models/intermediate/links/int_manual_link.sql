-- Links by hand (links.csv) with the procedure that each names; where none or several fit, none, and records keep their
-- ordinary link.
with stated as (
    select * from {{ ref('stg_manual_link') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

final as (
    select
        stated.line,
        stated.dosimeter_serial,
        stated.from_at,
        stated.to_at,
        coalesce(stated.procedure_id, stated.accession_number) as named,
        count(procedures.procedure_id) as n_procedures,
        case when count(procedures.procedure_id) = 1 then min(procedures.procedure_id) end as procedure_id
    from stated
    left join procedures
        on
            stated.procedure_id = procedures.procedure_id
            or (stated.procedure_id is null and stated.accession_number = procedures.accession_number)
    group by all
)

select * from final
