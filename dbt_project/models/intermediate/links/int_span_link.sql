-- Where sessions, counter steps and hourly residuals belong: to their only candidate, by exact shares to several, or to none
-- (contract, linking rule 4).
with spans as (
    select * from {{ ref('int_span') }}
),

candidates as (
    select * from {{ ref('int_span_candidate') }}
),

shares as (
    select * from {{ ref('int_span_share') }}
),

only_candidates as (
    select
        dose_key,
        procedure_id,
        open_usv as dose_usv
    from candidates
    where n_candidates = 1
),

-- Where one of them rests on a reader's clock that is not known, so does the link.
unsure as (
    select distinct dose_key
    from candidates
    where is_reader_unknown
),

listed as (
    select
        dose_key,
        string_agg(procedure_id, ' ' order by procedure_id) as candidates
    from candidates
    group by dose_key
),

linked as (
    select
        spans.dose_key,
        spans.measured_date,
        case when spans.layout = 'hourly_totals' then 'apportioned' else 'session' end as disposition,
        cast(null as varchar) as reason,
        only_candidates.procedure_id,
        only_candidates.dose_usv,
        cast(null as varchar) as candidates
    from spans
    inner join only_candidates on spans.dose_key = only_candidates.dose_key
    union all
    select
        spans.dose_key,
        spans.measured_date,
        'apportioned' as disposition,
        cast(null as varchar) as reason,
        shares.procedure_id,
        shares.dose_usv,
        cast(null as varchar) as candidates
    from spans
    inner join shares on spans.dose_key = shares.dose_key
    union all
    select
        spans.dose_key,
        spans.measured_date,
        'unlinked' as disposition,
        case
            when listed.dose_key is not null then 'multi_procedure'
            when spans.layout = 'hourly_totals' then 'residual'
            else 'no_procedure'
        end as reason,
        cast(null as varchar) as procedure_id,
        spans.open_usv as dose_usv,
        listed.candidates
    from spans
    left join listed on spans.dose_key = listed.dose_key
    anti join only_candidates on spans.dose_key = only_candidates.dose_key
    anti join shares on spans.dose_key = shares.dose_key
),

final as (
    select
        linked.*,
        unsure.dose_key is not null as is_reader_unknown
    from linked
    left join unsure on linked.dose_key = unsure.dose_key
)

select * from final
