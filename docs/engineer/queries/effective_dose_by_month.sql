-- What is the effective dose of all persons together in each month?
-- gives: month, n_operators, effective_dose_usv
select
    month,
    count(*) as n_operators,
    sum(effective_dose_estimate_usv) as effective_dose_usv
from marts.fct_operator_month
group by month
order by month
