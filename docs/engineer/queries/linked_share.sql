-- How much of the dose that staff badges registered is linked to procedures?
-- gives: month, registered_usv, linked_percent
select
    month,
    sum(registered_usv) as registered_usv,
    100 * sum(linked_usv) / sum(registered_usv) as linked_percent
from ledger.linkage
where wearer_kind = 'staff'
group by month
having sum(registered_usv) > 0
order by month
