-- Which typical values are above the diagnostic reference level?
-- gives: procedure_type, room_id, quantity, n, median, drl_value, ratio_to_drl
select
    procedure_type,
    room_id,
    quantity,
    n,
    median,
    drl_value,
    ratio_to_drl
from marts.fct_reference_level
order by ratio_to_drl desc nulls last
