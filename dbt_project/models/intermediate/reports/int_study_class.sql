-- The procedure class of a study by the site's rules: the lowest priority number that matches; of equals the first line.
with studies as (
    select * from {{ ref('int_study') }}
),

rules as (
    select * from {{ ref('stg_procedure_type_rule') }}
),

texts as (
    select
        study_key,
        'procedure_code' as field,
        unnest(procedure_codes) as field_value
    from studies
    union all
    select
        study_key,
        'study_description' as field,
        study_description as field_value
    from studies
    union all
    select
        study_key,
        'requested_procedure' as field,
        requested_procedure as field_value
    from studies
    union all
    select
        study_key,
        'protocol' as field,
        protocol as field_value
    from studies
),

matches as (
    select
        texts.study_key,
        rules.procedure_type,
        rules.specialty,
        rules.priority,
        rules.line
    from texts
    inner join rules on texts.field = rules.field
    where
        case rules.match_kind
            when 'exact' then {{ folded('texts.field_value') }} = {{ folded('rules.pattern') }}
            when 'contains' then contains({{ folded('texts.field_value') }}, {{ folded('rules.pattern') }})
            when 'regex'
                then regexp_matches(
                    strip_accents(nfc_normalize(texts.field_value)), strip_accents(nfc_normalize(rules.pattern)), 'i'
                )
        end
),

best as (
    select *
    from matches
    qualify row_number() over (partition by study_key order by priority, line) = 1
),

final as (
    select
        studies.study_key,
        coalesce(best.procedure_type, 'unclassified') as procedure_type,
        best.specialty
    from studies
    left join best on studies.study_key = best.study_key
)

select * from final
