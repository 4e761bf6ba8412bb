{# Names for types and expressions that must be the same everywhere. #}

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

{# Key of a dose that a row of a file tells. No hash: two rows can never have the same, and numbers that follow one another
   are stored in a fraction of the room. DuckDB raises an error where a number does not fit or the quantity is another. #}
{% macro dose_key(load_seq, line, quantity) -%}
    ({{ load_seq }} * 4294967296 + {{ line }}) * 4 + enum_code(cast({{ quantity }} as enum('hp10', 'hp007', 'hp3')))
{%- endmacro %}

{# Within what the measurements of a badge may be one and the same: its source. Hubs of several sources receive the same badge,
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

{# A dose as a whole number: of the last digit that doses have. #}
{% macro dose_digits(dose) -%}
    cast(cast({{ dose }} as decimal(28, 9)) * cast(1000000000 as decimal(10, 0)) as hugeint)
{%- endmacro %}

{# Share of one of several parts in a dose, exact: the shares of all parts add up to the dose. Whole numbers: the sum of the parts
   to the end of this one, to its begin, and of all. #}
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

{# A sum of which one unknown makes the whole unknown. #}
{% macro sum_if_all_known(expression) -%}
    case when count({{ expression }}) = count(*) then sum({{ expression }}) end
{%- endmacro %}

{# An instant so many seconds later, to the microsecond. Instants plus intervals go through the calendar: thirty times slower;
   a DECIMAL of microseconds overflows where a clock stands on another year. #}
{% macro moved_by(instant, seconds) -%}
    make_timestamptz(epoch_us({{ instant }}) + cast(round(cast({{ seconds }} as double) * 1000000) as bigint))
{%- endmacro %}

{# The day of totals by study: versions of one may state different times, or none. #}
{% macro undated() -%} date '0001-01-01' {%- endmacro %}

{# Local date on which an export row begins: the day of which all versions of a measurement are. #}
{% macro record_date(began_at, zone) -%}
    coalesce({{ local_date(began_at, zone) }}, {{ undated() }})
{%- endmacro %}

{# The full minute by which an export row is dated; NULL: a total by study. #}
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

{# An exact number as people write it: without the zeros at its end. #}
{% macro decimal_text(expression) -%}
    regexp_replace(cast({{ expression }} as varchar), '\.?0+$', '')
{%- endmacro %}

{# Which badge a serial is: the serial itself, with the sources that its assignment names; one serial may be several badges. #}
{% macro badge_key(serial, source_ids) -%}
    concat_ws(chr(31), {{ serial }}, array_to_string({{ source_ids }}, ' '))
{%- endmacro %}

{# Whether an assignment holds in the exports of a source. #}
{% macro holds_in(source_id, source_ids) -%}
    coalesce(list_contains({{ source_ids }}, {{ source_id }}), true)
{%- endmacro %}

{# Dose of a group of rows by place of the body: the higher hand, and all the rest. #}
{% macro higher_hand_and_rest(dose) -%}
    coalesce(max({{ dose }}) filter (is_hand), 0) + coalesce(sum({{ dose }}) filter (not is_hand), 0)
{%- endmacro %}

{# What follows a dose in a sentence if a badge behind it is below detection: the most that it can be, rounded up. #}
{% macro at_most(low, high) -%}
    case
        when {{ high }} is null then ', in part below detection (limit not stated)'
        when {{ high }} > {{ low }} then format(', at most {:.1f} µSv', ceil(round({{ high }} * 10, 6)) / 10)
        else ''
    end
{%- endmacro %}

{# A dose as a sentence has it. #}
{% macro dose_text(dose_usv) -%}
    format('{:.1f} µSv', cast({{ dose_usv }} as double))
{%- endmacro %}
