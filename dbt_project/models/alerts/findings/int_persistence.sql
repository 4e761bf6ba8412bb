-- Of every row of an operator at which `persistent` may fire: how many of the last judged rows have a finding, how many are
-- usual for their classes and role groups at other operators, and how many chance does not explain.
with judged as (
    select * from {{ ref('int_judged_finding') }}
),

counts as (
    select * from {{ ref('int_finding_count') }}
),

thresholds as (
    select
        cast(max(threshold_value) filter (where name = 'min_rows') as integer) as min_found,
        cast(max(threshold_value) filter (where name = 'last_rows') as integer) as n_last,
        cast(max(threshold_value) filter (where name = 'min_judged') as integer) as min_judged,
        cast(max(threshold_value) filter (where name = 'reference_days') as integer) as reference_days,
        max(threshold_value) filter (where name = 'max_chance') as max_chance,
        max(threshold_value) filter (where name = 'min_ratio') as min_ratio,
        max(threshold_value) filter (where name = 'group_weight') as group_weight,
        max(threshold_value) filter (where name = 'min_group_rows') as min_group_rows
    from {{ ref('int_alert_threshold') }}
    where rule = 'persistent'
    having max(rule) is not null
),

last_rows as (
    select
        judged.*,
        count(*) over the_last as n_judged,
        count(*) filter (where judged.has_finding) over the_last as n_found,
        list([judged.role_group, judged.procedure_type]) over the_last as compared_with
    from judged
    cross join thresholds
    window the_last as (
        partition by judged.operator_id
        order by judged.row_no
        rows between {{ frame_bound('thresholds.n_last - 1') }} preceding and current row
    )
),

candidates as (
    select last_rows.*
    from last_rows
    inner join thresholds
        on
            last_rows.has_finding
            and last_rows.n_found >= thresholds.min_found
            and last_rows.n_judged >= thresholds.min_judged
),

paired as (
    select
        operator_id,
        procedure_id,
        procedure_date,
        unnest(compared_with) as pair
    from candidates
),

-- The classes and role groups of a candidate's last rows, and how many rows are of each.
compositions as (
    select
        operator_id,
        procedure_id,
        procedure_date,
        pair[1] as role_group,
        pair[2] as procedure_type,
        count(*) as n_rows
    from paired
    group by all
),

sides as (
    select
        whose.is_own,
        classes.is_of_class,
        ends.is_last
    from (values (true), (false)) as whose (is_own)
    cross join (values (true), (false)) as classes (is_of_class)
    cross join (values (true), (false)) as ends (is_last)
),

-- Judged by others within the reference days: everybody's rows without the operator's own, each up to the day before
-- without those up to the day before the first.
spans as (
    select
        compositions.*,
        sides.is_of_class,
        case when sides.is_own then compositions.operator_id else '' end as counted_operator_id,
        case when sides.is_of_class then compositions.procedure_type else '' end as counted_type,
        compositions.procedure_date - 1
        - case when sides.is_last then 0 else thresholds.reference_days end as counted_to_date,
        case when sides.is_own = sides.is_last then -1 else 1 end as sign
    from compositions
    cross join thresholds
    cross join sides
),

counts_and_spans as (
    select
        operator_id as counted_operator_id,
        role_group,
        procedure_type as counted_type,
        procedure_date as counted_to_date,
        n_judged,
        n_found
    from counts
    union all by name
    select * from spans
),

-- A running count holds until the next one.
counted as (
    select
        * exclude (n_judged, n_found),
        sign * max(n_judged) over to_date as n_judged,
        sign * max(n_found) over to_date as n_found
    from counts_and_spans
    window to_date as (partition by counted_operator_id, role_group, counted_type order by counted_to_date)
),

shares as (
    select
        operator_id,
        procedure_id,
        role_group,
        procedure_type,
        n_rows,
        coalesce(sum(n_judged) filter (where is_of_class), 0) as n_of_class,
        coalesce(sum(n_found) filter (where is_of_class), 0) as n_found_of_class,
        coalesce(sum(n_judged) filter (where not is_of_class), 0) as n_of_group,
        coalesce(sum(n_found) filter (where not is_of_class), 0) as n_found_of_group
    from counted
    where procedure_id is not null
    group by all
),

-- The share of the class leans on that of the role group, the more the fewer rows it has.
expected as (
    select
        shares.operator_id,
        shares.procedure_id,
        shares.role_group,
        shares.procedure_type,
        shares.n_of_group >= thresholds.min_group_rows as is_known,
        shares.n_rows * (
            shares.n_found_of_class + thresholds.group_weight * shares.n_found_of_group / nullif(shares.n_of_group, 0)
        ) / (shares.n_of_class + thresholds.group_weight) as n_usual
    from shares
    cross join thresholds
),

usual as (
    select
        operator_id,
        procedure_id,
        sum(n_usual order by role_group, procedure_type) as n_usual
    from expected
    group by operator_id, procedure_id
    having bool_and(is_known)
),

possible as (
    select
        candidates.operator_id,
        candidates.procedure_id,
        candidates.n_judged,
        usual.n_usual,
        unnest(range(candidates.n_judged + 1)) as n_findings
    from candidates
    inner join usual
        on candidates.operator_id = usual.operator_id and candidates.procedure_id = usual.procedure_id
),

-- Chance of each number of findings and more, if each row has one as often as it is usual.
chances as (
    select
        operator_id,
        procedure_id,
        n_usual,
        n_findings,
        sum({{ binomial_probability('n_findings', 'n_judged', 'n_usual / n_judged') }}) over (
            partition by operator_id, procedure_id order by n_findings desc
        ) as chance
    from possible
),

-- The smallest number that fires.
limits as (
    select
        chances.operator_id,
        chances.procedure_id,
        any_value(chances.n_usual) as n_usual,
        min(chances.n_findings) as least_findings
    from chances
    inner join thresholds
        on
            chances.chance < thresholds.max_chance
            and chances.n_findings >= thresholds.min_found
            and chances.n_findings >= thresholds.min_ratio * chances.n_usual
    group by chances.operator_id, chances.procedure_id
),

final as (
    select
        candidates.site_id,
        candidates.study_name,
        candidates.room_id,
        candidates.operator_id,
        candidates.procedure_id,
        candidates.procedure_date,
        candidates.row_no,
        candidates.n_judged,
        candidates.n_found,
        limits.n_usual,
        limits.least_findings
    from candidates
    inner join limits
        on candidates.operator_id = limits.operator_id and candidates.procedure_id = limits.procedure_id
)

select * from final
