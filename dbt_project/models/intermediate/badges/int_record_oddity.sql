-- Of each file and badge the rows beside which the file states a higher value of the same measurement.
with conflicts as (
    select * from {{ ref('int_record_conflict') }}
    where measured_date <= {{ as_of() }}
),

numbered as (
    select
        *,
        row_number() over (partition by load_seq, dosimeter_serial order by line, quantity) as nth
    from conflicts
),

described as (
    select
        *,
        format(
            'line {} ({}: {} instead of {} µSv)',
            line,
            quantity,
            coalesce({{ decimal_text('value_usv') }}, 'below detection'),
            {{ decimal_text('highest_usv') }}
        ) as row_text
    from numbered
),

listed as (
    select
        load_seq,
        dosimeter_serial,
        count(*) as n_rows,
        string_agg(row_text, ', ' order by nth) filter (where nth <= {{ var('oddity_rows') }}) as rows_text
    from described
    group by load_seq, dosimeter_serial
),

final as (
    select
        'conflicting_rows' as code,
        described.load_seq,
        described.line,
        described.dosimeter_serial as field,
        format(
            'badge {}: {} rows state less than another row of this file for the same time; the highest value counts: '
            || '{}{}',
            described.dosimeter_serial,
            listed.n_rows,
            listed.rows_text,
            case when listed.n_rows > {{ var('oddity_rows') }} then ', …' else '' end
        ) as message
    from described
    inner join listed
        on described.load_seq = listed.load_seq and described.dosimeter_serial = listed.dosimeter_serial
    where described.nth = 1
)

select * from final
