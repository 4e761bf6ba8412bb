-- How much of which limit has each person reached?
-- gives: operator_id, quantity, dose_window, dose_msv, limit_msv, limit_percent
select
    operator_id,
    quantity,
    dose_window,
    dose_msv,
    limit_msv,
    100 * fraction_of_limit as limit_percent
from marts.fct_operator_limit
order by limit_percent desc nulls last
limit 20
