-- In how many of their procedures do persons wear their badge?
-- gives: operator_id, procedures, with_badge_percent
select
    operator_id,
    sum(procedures) as procedures,
    100.0 * sum(procedures_with_badge) / sum(procedures) as with_badge_percent
from marts.fct_operator_month
group by operator_id
having sum(procedures) > 0
order by with_badge_percent
