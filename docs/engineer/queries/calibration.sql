-- How far does calibration change the KAP of each room?
-- gives: room_id, n, mean_factor
select
    room_id,
    count(*) as n,
    sum(kap_gy_cm2) / sum(kap_reported_gy_cm2) as mean_factor
from marts.fct_procedure
where kap_reported_gy_cm2 > 0
group by room_id
order by room_id
