-- How many findings are there per 100 procedures in each room?
-- gives: room_id, procedures, findings_per_100
with findings as (
    select procedure.room_id, count(*) as n
    from alerts.alert as finding
    inner join marts.fct_procedure as procedure using (procedure_id)
    group by procedure.room_id
)
select
    procedure.room_id,
    count(*) as procedures,
    100.0 * coalesce(any_value(findings.n), 0) / count(*) as findings_per_100
from marts.fct_procedure as procedure
left join findings using (room_id)
group by procedure.room_id
order by procedure.room_id
