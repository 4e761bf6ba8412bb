-- What does a person get in a procedure of each class, by role group?
-- gives: procedure_type, role_group, n, q1_usv, median_usv, q3_usv
select
    procedure_type,
    role_group,
    count(hp10_usv) as n,
    quantile_cont(hp10_usv, 0.25) as q1_usv,
    median(hp10_usv) as median_usv,
    quantile_cont(hp10_usv, 0.75) as q3_usv
from marts.fct_staff_dose
where hp10_usv is not null
group by procedure_type, role_group
order by median_usv desc
