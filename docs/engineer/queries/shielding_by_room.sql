-- How well is staff shielded in each room: dose in percent of the dose at the C-arm?
-- gives: room_id, n, median_percent
select
    room_id,
    count(*) as n,
    median(100 * hp10_usv / c_arm_dose_usv) as median_percent
from marts.fct_staff_dose
where c_arm_dose_usv >= 20 and hp10_usv is not null
group by room_id
order by median_percent desc
