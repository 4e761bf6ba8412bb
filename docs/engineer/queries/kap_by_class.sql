-- What does a patient get in each class of procedure?
-- gives: procedure_type, n, median_kap_gy_cm2, median_ka_r_mgy, median_fluoro_min
select
    procedure_type,
    count(*) as n,
    median(kap_gy_cm2) as median_kap_gy_cm2,
    median(ka_r_mgy) as median_ka_r_mgy,
    median(fluoro_time_s) / 60 as median_fluoro_min
from marts.fct_procedure
group by procedure_type
order by n desc
