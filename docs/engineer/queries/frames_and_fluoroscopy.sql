-- Which share of KAP comes from acquisitions, and of how many frames?
-- gives: procedure_type, median_frames, acquisition_percent
select
    procedure_type,
    median(radiographic_frames) as median_frames,
    100 * sum(kap_acquisition_gy_cm2) / sum(kap_gy_cm2) as acquisition_percent
from marts.fct_procedure
where kap_gy_cm2 > 0
group by procedure_type
order by acquisition_percent desc nulls last
