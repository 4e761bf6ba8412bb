-- Exports whose bytes lie in the folders of several sources: a measurement is of its source, so each of them counts, and a file
-- that was copied into the wrong folder doubles a person's dose.
with readings as (
    select * from {{ ref('int_file_reading') }}
    where kind = 'dosimeter' and reading_state = 'loaded'
),

files as (
    select * from {{ ref('stg_file') }}
),

first_readings as (
    select
        sha256,
        arg_min(load_seq, order_seq) as load_seq,
        arg_min(source_id, order_seq) as source_id
    from readings
    group by sha256
),

final as (
    select
        'same_bytes' as code,
        readings.load_seq,
        files.path,
        'source_id' as field,
        format(
            'has the same bytes as {} of source {}, and is read for both sources; if one lies in the wrong folder, '
            || 'withdrawn_files.csv takes back both, and the right one counts again with an empty line more at its end',
            first_files.path,
            first_readings.source_id
        ) as message
    from readings
    inner join first_readings on readings.sha256 = first_readings.sha256
    inner join files on readings.load_seq = files.load_seq
    inner join files as first_files on first_readings.load_seq = first_files.load_seq
    where readings.source_id != first_readings.source_id
)

select * from final
