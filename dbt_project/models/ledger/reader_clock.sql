with reader_clocks as (
    select * from {{ ref('int_reader_clock') }}
),

declarations as (
    select * from {{ ref('stg_clock_declaration') }}
    where source_id is not null and room_id is null
),

evidence as (
    select distinct
        source_id,
        measured_date
    from {{ ref('int_dose_evidence') }}
    where layout in ('sessions', 'counter_log')
),

sources as (
    select * from {{ ref('stg_source') }}
    where not coalesce(has_hubs, false)
),

declared as (
    select
        evidence.source_id,
        evidence.measured_date,
        declarations.offset_s
    from evidence
    inner join sources on evidence.source_id = sources.source_id
    inner join declarations
        on
            evidence.source_id = declarations.source_id
            and {{ is_valid_on('declarations', 'evidence.measured_date') }}
    qualify row_number() over (
        partition by evidence.source_id, evidence.measured_date order by declarations.valid_from_date desc
    ) = 1
),

final as (
    select
        source_id,
        room_id,
        is_by_modality,
        offset_date,
        offset_s,
        uncertainty_s,
        offset_method as method,
        cast(n_records as bigint) as n_records,
        cast(n_people as bigint) as n_people,
        runner_up_s,
        likelihood_ratio,
        is_accepted
    from reader_clocks
    union all by name
    select
        source_id,
        cast(null as varchar) as room_id,
        true as is_by_modality,
        measured_date as offset_date,
        cast(offset_s as double) as offset_s,
        'declared' as method,
        true as is_accepted
    from declared
)

select * from final
