-- Why is dose not linked, and how much of it?
-- gives: reason, n_records, hp10_usv
select
    reason,
    count(*) as n_records,
    sum(hp10_usv) as hp10_usv
from ledger.unlinked_dose
group by reason
order by hp10_usv desc nulls last
