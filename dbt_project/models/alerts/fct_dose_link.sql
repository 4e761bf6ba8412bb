-- The doses of a procedure record by record, with the line of the file that states each: what its page draws. Of the dates of
-- these procedures only: the records of a whole history are many.
{{ config(schema='marts') }}
with pages as (
    select * from {{ ref('dim_procedure_page') }}
),

procedures as (
    select * from {{ ref('fct_procedure') }}
    where procedure_id in (select pages.procedure_id from pages)
),

-- A badge's clock and midnight may put a record on the date before or after.
dates as (
    select distinct unnest([procedure_date - 1, procedure_date, procedure_date + 1]) as measured_date
    from procedures
),

dispositions as (
    select * from {{ ref('int_disposition') }}
    where measured_date in (select dates.measured_date from dates)
),

final as (
    select
        dispositions.procedure_id,
        dispositions.irradiation_event_uid,
        dispositions.dosimeter_serial,
        dispositions.operator_id,
        dispositions.disposition as link_method,
        dispositions.started_at,
        dispositions.ended_at,
        cast(dispositions.dose_usv as double) as dose_usv,
        dispositions.load_seq,
        dispositions.line,
        dispositions.worn_at
    from dispositions
    inner join pages on dispositions.procedure_id = pages.procedure_id
    where dispositions.quantity = 'hp10' and dispositions.dose_usv > 0
)

select * from final
