-- Which findings are there, by rule and severity?
-- gives: rule, severity, n
select
    rule,
    severity,
    count(*) as n
from alerts.alert
group by rule, severity
order by n desc
