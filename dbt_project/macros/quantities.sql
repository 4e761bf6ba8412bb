{# Types and expressions that must be the same everywhere. #}

{# Exact dose in the warehouse: microsievert. #}
{% macro dose_type() -%} decimal(18, 9) {%- endmacro %}

{# Exact sums of doses: sums of DOUBLE differ from run to run. #}
{% macro dose_sum(expression) -%}
    cast(coalesce(sum({{ expression }}), 0) as decimal(18, 9))
{%- endmacro %}

{# Key of a natural key: short, stable, independent of row order. Parts are joined by a character that no part holds. #}
{% macro key_of(parts) -%}
    left(sha256(concat_ws(chr(31), {{ parts | join(', ') }})), 32)
{%- endmacro %}

{# Key of a dose that a row of a file states. No hash: two rows never have the same key, and consecutive numbers are compressed
   well. DuckDB raises an error where a number does not fit or the quantity is another. #}
{% macro dose_key(load_seq, line, quantity) -%}
    ({{ load_seq }} * 4294967296 + {{ line }}) * 4 + enum_code(cast({{ quantity }} as enum('hp10', 'hp007', 'hp3')))
{%- endmacro %}

{# Scope in which two rows of a badge can be the same measurement: its source. Hubs of several sources receive the same badge,
   so their rate samples of one instant are one measurement. #}
{% macro measured_in(layout, has_hubs, source_id) -%}
    case when {{ layout }} = 'rate_samples' and {{ has_hubs }} then '' else {{ source_id }} end
{%- endmacro %}

{# Seconds from one instant to another, with fractions. #}
{% macro seconds_between(earlier, later) -%}
    (epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1e6
{%- endmacro %}

{# Local date at the site of an instant. #}
{% macro local_date(instant, zone) -%}
    cast(timezone({{ zone }}, {{ instant }}) as date)
{%- endmacro %}

{# A dose as a whole number of the last decimal digit that doses have. #}
{% macro dose_digits(dose) -%}
    cast(cast({{ dose }} as decimal(28, 9)) * cast(1000000000 as decimal(10, 0)) as hugeint)
{%- endmacro %}

{# Share of one of several parts in a dose, exact: the shares of all parts add up to the dose. Arguments are whole numbers: the
   sum of the parts up to the end of this one, up to its begin, and of all. #}
{% macro share_of_part(dose, to_end, to_begin, of_all) -%}
    {%- set whole = dose_digits(dose) -%}
    cast(
        cast({{ whole }} * {{ to_end }} // {{ of_all }} - {{ whole }} * {{ to_begin }} // {{ of_all }} as decimal(18, 0))
        * cast(0.000000001 as decimal(9, 9)) as decimal(18, 9)
    )
{%- endmacro %}

{# Share of the n-th of several days in a dose that covers them all. #}
{% macro share_of_day(dose, nth_day, days) -%}
    {{ share_of_part(dose, nth_day, '(' ~ nth_day ~ ' - 1)', days) }}
{%- endmacro %}

{# A sum that is NULL if any value is. #}
{% macro sum_if_all_known(expression) -%}
    case when count({{ expression }}) = count(*) then sum({{ expression }}) end
{%- endmacro %}

{# An instant moved by seconds, to the microsecond. Adding an interval uses the calendar and is thirty times slower; a DECIMAL of
   microseconds overflows where a clock shows another year. #}
{% macro moved_by(instant, seconds) -%}
    make_timestamptz(epoch_us({{ instant }}) + cast(round(cast({{ seconds }} as double) * 1000000) as bigint))
{%- endmacro %}

{# The date of totals by study, whose versions may state different times, or none. #}
{% macro undated() -%} date '0001-01-01' {%- endmacro %}

{# Local date on which an export row begins; all versions of a measurement have the same. #}
{% macro record_date(began_at, zone) -%}
    coalesce({{ local_date(began_at, zone) }}, {{ undated() }})
{%- endmacro %}

{# The full minute that dates an export row; NULL for a total by study. #}
{% macro dating_minute(started_at, layout) -%}
    case when {{ layout }} != 'procedure_totals' then {{ minute_of(started_at) }} end
{%- endmacro %}

{# The full minute of UTC in which an instant lies: where a local date begins, a minute begins too. Before 1970 "//" would round
   up, but records begin with FIRST_YEAR of ingest/times.py. #}
{% macro minute_of(instant) -%}
    make_timestamptz(epoch_us({{ instant }}) // 60000000 * 60000000)
{%- endmacro %}

{# Whether a counter was reset between two readings: it fell, and by more than a correction may. #}
{% macro is_counter_reset(value, previous) -%}
    ({{ value }} < {{ previous }} - least({{ var('dip_share') }} * {{ previous }}, {{ var('dip_usv') }}))
{%- endmacro %}

{# An exact number without trailing zeros. #}
{% macro decimal_text(expression) -%}
    regexp_replace(cast({{ expression }} as varchar), '\.?0+$', '')
{%- endmacro %}

{# Key of a badge: its serial and the sources that its assignment names, because one serial may be several badges. #}
{% macro badge_key(serial, source_ids) -%}
    concat_ws(chr(31), {{ serial }}, array_to_string({{ source_ids }}, ' '))
{%- endmacro %}

{# Whether an assignment applies to the exports of a source. #}
{% macro holds_in(source_id, source_ids) -%}
    coalesce(list_contains({{ source_ids }}, {{ source_id }}), true)
{%- endmacro %}

{# Dose of a group of rows: the higher of the two hands plus all other places. #}
{% macro higher_hand_and_rest(dose) -%}
    coalesce(max({{ dose }}) filter (is_hand), 0) + coalesce(sum({{ dose }}) filter (not is_hand), 0)
{%- endmacro %}

{# Text after a dose in a sentence if a badge is below detection: the highest possible value, rounded up. #}
{% macro at_most(low, high) -%}
    case
        when {{ high }} is null then ', in part below detection (limit not stated)'
        when {{ high }} > {{ low }} then format(', at most {:.1f} µSv', ceil(round({{ high }} * 10, 6)) / 10)
        else ''
    end
{%- endmacro %}

{# A dose in a sentence. #}
{% macro dose_text(dose_usv) -%}
    format('{:.1f} µSv', cast({{ dose_usv }} as double))
{%- endmacro %}
