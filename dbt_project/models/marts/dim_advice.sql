-- The site's own words where reference/advice.csv has them.
with defaults as (
    select * from {{ ref('advice') }}
),

of_site as (
    select * from {{ ref('stg_advice') }}
),

final as (
    select
        defaults.advice_code,
        defaults.language,
        coalesce(of_site.sentence, defaults.sentence) as sentence,
        of_site.sentence is not null as is_of_site
    from defaults
    left join of_site on defaults.advice_code = of_site.advice_code and defaults.language = of_site.language
)

select * from final
