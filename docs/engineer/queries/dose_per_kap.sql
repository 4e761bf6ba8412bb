-- How much do persons of each role group get per KAP, of procedures of at least 1 Gy·cm²?
-- gives: role_group, n, hp10_per_kap_usv_per_gy_cm2
select
    role_group,
    count(*) as n,
    sum(hp10_usv) / sum(kap_gy_cm2) as hp10_per_kap_usv_per_gy_cm2
from marts.fct_staff_dose
where hp10_usv is not null and kap_gy_cm2 >= 1
group by role_group
order by hp10_per_kap_usv_per_gy_cm2 desc
