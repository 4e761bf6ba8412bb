-- Running counts of judged rows and of those with a finding, by date: of everybody and of one operator, in one class and in
-- all classes of a role group. What was judged in any span of dates is the difference of two rows.
with judged as (
    select * from {{ ref('int_judged_finding') }}
),

daily as (
    select
        coalesce(operator_id, '') as operator_id,
        role_group,
        coalesce(procedure_type, '') as procedure_type,
        procedure_date,
        count(*) as n_judged,
        count(*) filter (where has_finding) as n_found
    from judged
    group by role_group, procedure_date, cube(operator_id, procedure_type)
),

final as (
    select
        operator_id,
        role_group,
        procedure_type,
        procedure_date,
        sum(n_judged) over to_date as n_judged,
        sum(n_found) over to_date as n_found
    from daily
    window to_date as (partition by operator_id, role_group, procedure_type order by procedure_date)
)

select * from final
