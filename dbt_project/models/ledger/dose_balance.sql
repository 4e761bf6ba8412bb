-- Two independent paths: what was read, summed from the doses that count; where it went, summed from the dispositions.
{{ config(**incremental_by_date('measured_date', 'int_disposition_day')) }}
{% set is_in_batch = is_in_batch('measured_date') %}
with doses as (
    select * from {{ ref('int_dose') }}
    where {{ is_in_batch }}
),

disposed_doses as (
    select * from {{ ref('int_disposed_dose') }}
    where {{ is_in_batch }}
),

ingested as (
    select
        source_id,
        dosimeter_serial,
        measured_date,
        quantity,
        {{ dose_sum('dose_usv') }} as ingested_usv
    from doses
    group by all
),

disposed as (
    select
        source_id,
        dosimeter_serial,
        measured_date,
        quantity,
        {{ dose_sum("case when disposition = 'event' then dose_usv end") }} as linked_event_usv,
        {{ dose_sum("case when disposition = 'window' then dose_usv end") }} as linked_window_usv,
        {{ dose_sum("case when disposition = 'session' then dose_usv end") }} as linked_session_usv,
        {{ dose_sum("case when disposition = 'vendor' then dose_usv end") }} as linked_vendor_usv,
        {{ dose_sum("case when disposition = 'manual' then dose_usv end") }} as linked_manual_usv,
        {{ dose_sum("case when disposition = 'apportioned' then dose_usv end") }} as apportioned_usv,
        {{ dose_sum("case when disposition = 'unlinked' then dose_usv end") }} as unlinked_usv,
        {{ dose_sum("case when disposition = 'covered' then dose_usv end") }} as covered_by_samples_usv
    from disposed_doses
    group by all
),

final as (
    select
        coalesce(ingested.source_id, disposed.source_id) as source_id,
        coalesce(ingested.dosimeter_serial, disposed.dosimeter_serial) as dosimeter_serial,
        coalesce(ingested.measured_date, disposed.measured_date) as measured_date,
        coalesce(ingested.quantity, disposed.quantity) as quantity,
        cast(coalesce(ingested.ingested_usv, 0) as {{ dose_type() }}) as ingested_usv,
        cast(coalesce(disposed.linked_event_usv, 0) as {{ dose_type() }}) as linked_event_usv,
        cast(coalesce(disposed.linked_window_usv, 0) as {{ dose_type() }}) as linked_window_usv,
        cast(coalesce(disposed.linked_session_usv, 0) as {{ dose_type() }}) as linked_session_usv,
        cast(coalesce(disposed.linked_vendor_usv, 0) as {{ dose_type() }}) as linked_vendor_usv,
        cast(coalesce(disposed.linked_manual_usv, 0) as {{ dose_type() }}) as linked_manual_usv,
        cast(coalesce(disposed.apportioned_usv, 0) as {{ dose_type() }}) as apportioned_usv,
        cast(coalesce(disposed.unlinked_usv, 0) as {{ dose_type() }}) as unlinked_usv,
        cast(coalesce(disposed.covered_by_samples_usv, 0) as {{ dose_type() }}) as covered_by_samples_usv,
        cast(
            coalesce(ingested.ingested_usv, 0) - coalesce(
                disposed.linked_event_usv
                + disposed.linked_window_usv
                + disposed.linked_session_usv
                + disposed.linked_vendor_usv
                + disposed.linked_manual_usv
                + disposed.apportioned_usv
                + disposed.unlinked_usv
                + disposed.covered_by_samples_usv,
                0
            ) as {{ dose_type() }}
        ) as imbalance_usv
    from ingested
    full outer join disposed
        on
            ingested.source_id = disposed.source_id
            and ingested.dosimeter_serial = disposed.dosimeter_serial
            and ingested.measured_date = disposed.measured_date
            and ingested.quantity = disposed.quantity
)

select * from final
