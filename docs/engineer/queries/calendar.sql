-- How many procedures were there in each week, weeks without any among them?
-- gives: week, procedures
select
    day.week,
    count(procedure.procedure_id) as procedures
from marts.dim_date as day
left join marts.fct_procedure as procedure on day.calendar_date = procedure.procedure_date
where day.calendar_date between
    (select min(procedure_date) from marts.fct_procedure) and (select max(procedure_date) from marts.fct_procedure)
group by day.week
order by day.week
