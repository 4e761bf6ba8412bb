-- Everything odd about an input that was used all the same: found by the readers, or where rows are compared.
with findings as (
    select * from {{ ref('stg_finding') }}
),

final as (
    select
        code,
        load_seq,
        path,
        line,
        field,
        message
    from findings
)

select * from final
