-- Which ten doses in a procedure were the highest, and of whom?
-- gives: procedure_date, operator_id, role_group, procedure_type, hp10_usv, kap_gy_cm2
select
    procedure_date,
    operator_id,
    role_group,
    procedure_type,
    hp10_usv,
    kap_gy_cm2
from marts.fct_staff_dose
where hp10_usv is not null
order by hp10_usv desc
limit 10
