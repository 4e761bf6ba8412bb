-- What became of the files that were received?
-- gives: kind, status, files, rows_loaded, rows_rejected
select
    kind,
    status,
    count(*) as files,
    sum(rows_loaded) as rows_loaded,
    sum(rows_rejected) as rows_rejected
from ledger.file
group by kind, status
order by kind, status
