-- Which procedures had the highest air kerma at the reference point, with the estimate for the skin?
-- gives: procedure_date, room_id, ka_r_mgy, skin_dose_estimate_mgy
select
    procedure.procedure_date,
    procedure.room_id,
    procedure.ka_r_mgy,
    skin.skin_dose_estimate_mgy
from marts.fct_procedure as procedure
left join marts.fct_skin_dose as skin using (procedure_id)
where procedure.ka_r_mgy is not null
order by procedure.ka_r_mgy desc
limit 10
