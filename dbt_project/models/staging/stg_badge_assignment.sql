with source as (
    select * from {{ source('raw', 'ref_dosimeters') }}
),

renamed as (
    select
        dosimeter_serial,
        worn_at,
        operator_id,
        room_id,
        valid_from as valid_from_date,
        valid_to as valid_to_date,
        quiet_until as quiet_until_date,
        -- In whose exports the serial is this badge; NULL: in those of every source.
        list_sort(list_distinct(regexp_split_to_array(trim(source_id), '\s+'))) as source_ids
    from source
)

select * from renamed
