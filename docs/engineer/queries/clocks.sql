-- How far are the clocks of modality and dosimeters apart in each room?
-- gives: room_id, offset_date, offset_s, method
select
    room_id,
    offset_date,
    offset_s,
    method
from ledger.clock_offset
order by room_id, offset_date
