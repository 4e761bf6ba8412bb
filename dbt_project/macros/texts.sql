{# Comparing texts that people typed. Pure SQL over DuckDB, so that `doseledger classify` uses the same comparison
   (which renders this file without dbt). #}

{# Text as the reference files compare it: trimmed, case and accents ignored. #}
{% macro folded(expression) -%}
    strip_accents(lower(nfc_normalize(trim({{ expression }}))))
{%- endmacro %}

{# The words of a text, each between blanks: a pattern matches as whole words if its words are contained in these. #}
{% macro words_of(expression) -%}
    ' ' || trim(regexp_replace({{ folded(expression) }}, '[^\p{L}\p{N}]+', ' ', 'g')) || ' '
{%- endmacro %}

{# Whether a text matches the pattern of a rule, by the rule's kind of match. #}
{% macro is_match(match_kind, field_value, pattern) -%}
    case {{ match_kind }}
        when 'exact' then {{ folded(field_value) }} = {{ folded(pattern) }}
        when 'contains' then contains({{ folded(field_value) }}, {{ folded(pattern) }})
        when 'word' then contains({{ words_of(field_value) }}, {{ words_of(pattern) }})
        when 'regex'
            then regexp_matches(
                strip_accents(nfc_normalize({{ field_value }})), strip_accents(nfc_normalize({{ pattern }})), 'i'
            )
    end
{%- endmacro %}

{# The class of each subject, a query. "texts" has subject, modality, field and field_value; "rules" the site's rules
   (line, priority, field, match_kind, pattern, procedure_type, specialty); "patterns" and "classes" are the seeds
   procedure_class_pattern and procedure_class. The site's rules come first: the lowest priority number, of equals the
   first line. Shipped patterns are whole words of the description or the requested procedure, else of the protocol;
   where those of the lowest priority number name several classes, none is chosen. #}
{% macro classes_of(texts, rules, patterns, classes) -%}
    with distinct_texts as (
        select distinct
            modality,
            field,
            field_value,
            {{ words_of('field_value') }} as field_words
        from {{ texts }}
        where field_value is not null
    ),

    pattern_words as (
        select
            *,
            {{ words_of('pattern') }} as words
        from {{ patterns }}
    ),

    site_matches as (
        select
            distinct_texts.*,
            rules.procedure_type,
            rules.specialty,
            rules.priority,
            rules.line,
            'site' as class_source,
            format('line {}: {} {} "{}"', rules.line, rules.field, rules.match_kind, rules.pattern) as class_rule
        from distinct_texts
        inner join {{ rules }} as rules
            on
                distinct_texts.field = rules.field
                and {{ is_match('rules.match_kind', 'distinct_texts.field_value', 'rules.pattern') }}
    ),

    shipped_matches as (
        select
            distinct_texts.*,
            patterns.procedure_class as procedure_type,
            patterns.priority,
            distinct_texts.field = 'protocol' as is_protocol,
            'shipped' as class_source,
            format('shipped pattern: {} word "{}"', distinct_texts.field, patterns.pattern) as class_rule
        from distinct_texts
        inner join pattern_words as patterns
            on
                distinct_texts.modality = patterns.modality
                and contains(distinct_texts.field_words, patterns.words)
        where distinct_texts.field != 'procedure_code'
    ),

    site_classes as (
        select
            texts.subject,
            site_matches.procedure_type,
            site_matches.specialty,
            site_matches.class_source,
            site_matches.class_rule
        from {{ texts }} as texts
        inner join site_matches
            on
                texts.modality is not distinct from site_matches.modality
                and texts.field = site_matches.field
                and texts.field_value = site_matches.field_value
        qualify row_number() over (
            partition by texts.subject order by site_matches.priority, site_matches.line
        ) = 1
    ),

    shipped_candidates as (
        select
            texts.subject,
            shipped_matches.procedure_type,
            shipped_matches.class_source,
            shipped_matches.class_rule
        from {{ texts }} as texts
        inner join shipped_matches
            on
                texts.modality = shipped_matches.modality
                and texts.field = shipped_matches.field
                and texts.field_value = shipped_matches.field_value
        anti join site_classes on texts.subject = site_classes.subject
        qualify rank() over (
            partition by texts.subject order by shipped_matches.is_protocol, shipped_matches.priority
        ) = 1
    ),

    shipped_classes as (
        select
            subject,
            case when count(distinct procedure_type) = 1 then min(procedure_type) else 'unclassified' end
                as procedure_type,
            case when count(distinct procedure_type) = 1 then 'shipped' end as class_source,
            case
                when count(distinct procedure_type) = 1 then min(class_rule)
                else 'several shipped patterns: '
                    || string_agg(distinct procedure_type, ', ' order by procedure_type)
            end as class_rule
        from shipped_candidates
        group by subject
    )

    select
        subject,
        procedure_type,
        specialty,
        class_source,
        class_rule
    from site_classes
    union all
    select
        shipped_classes.subject,
        shipped_classes.procedure_type,
        classes.specialty,
        shipped_classes.class_source,
        shipped_classes.class_rule
    from shipped_classes
    left join {{ classes }} as classes on shipped_classes.procedure_type = classes.procedure_class
{%- endmacro %}
