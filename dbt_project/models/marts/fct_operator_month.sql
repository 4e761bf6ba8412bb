-- Empty in this version, and said so in its description: the columns stand, the logic comes with a later release.
with nothing as (
    select
        cast(null as varchar) as operator_id,
        cast(null as date) as month,
        cast(null as bigint) as procedures,
        cast(null as bigint) as procedures_with_badge,
        cast(null as double) as hp10_over_apron_usv,
        cast(null as double) as hp10_linked_usv,
        cast(null as double) as hp10_under_apron_usv,
        cast(null as double) as hp007_hand_usv,
        cast(null as double) as effective_dose_estimate_usv,
        cast(null as varchar) as effective_dose_method,
        cast(null as double) as hp3_estimate_usv,
        cast(null as double) as badge_hp10_over_apron_usv,
        cast(null as double) as badge_hp10_under_apron_usv,
        cast(null as varchar) as dose_source,
        cast(null as bigint) as n_below_detection,
        cast(null as double) as epd_to_badge_ratio,
        cast(null as double) as kap_gy_cm2
    where false
)

select * from nothing
