-- Which publication is this file, and did its checks pass?
-- gives: run_id, published_at, as_of, checks_passed, product_version
select
    run_id,
    published_at,
    as_of,
    checks_passed,
    product_version
from ledger.publication
order by published_at desc
limit 1
