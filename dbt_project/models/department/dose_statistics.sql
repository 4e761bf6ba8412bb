-- What a head of department may see. Each breakdown is a tree (all, branch, leaf): what is too small is pooled as
-- 'others', with the smallest large one where the pool is itself too small. So any published figure minus another
-- is a union of large leaves, and no person can be calculated (docs/physicist/department.md).
with procedures as (
    select * from {{ ref('fct_procedure') }}
),

operator_procedures as (
    select * from {{ ref('fct_operator_procedure') }}
),

operators as (
    select * from {{ ref('dim_operator') }}
),

-- Only months that are over: a growing month would show the difference between two nights.
span as (
    select
        cast(date_trunc('month', {{ as_of() }} + 1) as date) as end_date,
        cast(date_trunc('month', {{ as_of() }} + 1) - to_months({{ var('department_months') }}) as date) as begin_date
),

-- Procedures and patients by numbers, which are counted much faster than texts.
participations as (
    select
        hash(procedures.procedure_id) as procedure_id,
        procedures.procedure_date,
        strftime(procedures.procedure_date, '%Y-%m') as month,
        procedures.room_id as room,
        procedures.procedure_type,
        coalesce(operators.specialty, 'unknown') || ' ' || coalesce(operators.grade, 'unknown') as operator_group,
        case when procedures.patient_key is not null then hash(procedures.patient_key) end as patient_key,
        row_number() over (
            partition by procedures.procedure_id order by operator_procedures.operator_id
        ) = 1 as is_first_of_procedure,
        case when is_first_of_procedure then procedures.kap_gy_cm2 end as kap_gy_cm2,
        case when is_first_of_procedure then procedures.ka_r_mgy end as ka_r_mgy,
        case when is_first_of_procedure then procedures.fluoro_time_s end as fluoro_time_s,
        operator_procedures.operator_id,
        operator_procedures.hp10_usv,
        operator_procedures.hp10_per_kap_usv_per_gy_cm2,
        procedures.procedure_date >= span.begin_date as is_recent
    from procedures
    cross join span
    left join operator_procedures on procedures.procedure_id = operator_procedures.procedure_id
    left join operators on operator_procedures.operator_id = operators.operator_id
    where procedures.procedure_date < span.end_date
),

-- The three trees. A patient's dose counts once a procedure, and not where operators are distinguished.
records as (
    select
        'month_room' as breakdown,
        month as branch,
        room as leaf,
        *
    from participations
    union all by name
    select
        'procedure_type_room' as breakdown,
        procedure_type as branch,
        room as leaf,
        *
    from participations
    where is_recent
    union all by name
    select
        'operator_group_procedure_type' as breakdown,
        operator_group as branch,
        procedure_type as leaf,
        * exclude (kap_gy_cm2, ka_r_mgy, fluoro_time_s)
    from participations
    where is_recent and operator_id is not null
),

large_breakdowns as (
    select breakdown
    from records
    group by breakdown
    having {{ is_large_enough() }}
),

branch_sizes as (
    select
        breakdown,
        branch,
        count(distinct procedure_id) as n_procedures,
        {{ is_large_enough() }} as is_large
    from records
    group by breakdown, branch
),

small_branches as (
    select
        records.breakdown,
        {{ is_large_enough() }} as is_large
    from records
    inner join branch_sizes on records.breakdown = branch_sizes.breakdown and records.branch = branch_sizes.branch
    where not branch_sizes.is_large
    group by records.breakdown
),

branch_labels as (
    select
        branch_sizes.breakdown,
        branch_sizes.branch,
        case
            when not branch_sizes.is_large then 'others'
            when
                not coalesce(small_branches.is_large, true)
                and row_number() over (
                    partition by branch_sizes.breakdown, branch_sizes.is_large
                    order by branch_sizes.n_procedures, branch_sizes.branch
                ) = 1
                then 'others'
            else branch_sizes.branch
        end as branch_label
    from branch_sizes
    left join small_branches on branch_sizes.breakdown = small_branches.breakdown
),

branched as (
    select
        records.*,
        branch_labels.branch_label
    from records
    inner join branch_labels on records.breakdown = branch_labels.breakdown and records.branch = branch_labels.branch
    inner join large_breakdowns on records.breakdown = large_breakdowns.breakdown
),

leaf_sizes as (
    select
        breakdown,
        branch_label,
        leaf,
        count(distinct procedure_id) as n_procedures,
        {{ is_large_enough() }} as is_large
    from branched
    group by breakdown, branch_label, leaf
),

small_leaves as (
    select
        branched.breakdown,
        branched.branch_label,
        {{ is_large_enough() }} as is_large
    from branched
    inner join leaf_sizes
        on
            branched.breakdown = leaf_sizes.breakdown
            and branched.branch_label = leaf_sizes.branch_label
            and branched.leaf = leaf_sizes.leaf
    where not leaf_sizes.is_large
    group by branched.breakdown, branched.branch_label
),

leaf_labels as (
    select
        leaf_sizes.breakdown,
        leaf_sizes.branch_label,
        leaf_sizes.leaf,
        case
            when not leaf_sizes.is_large then 'others'
            when
                not coalesce(small_leaves.is_large, true)
                and row_number() over (
                    partition by leaf_sizes.breakdown, leaf_sizes.branch_label, leaf_sizes.is_large
                    order by leaf_sizes.n_procedures, leaf_sizes.leaf
                ) = 1
                then 'others'
            else leaf_sizes.leaf
        end as leaf_label
    from leaf_sizes
    left join small_leaves
        on leaf_sizes.breakdown = small_leaves.breakdown and leaf_sizes.branch_label = small_leaves.branch_label
),

labelled as (
    select
        branched.*,
        leaf_labels.leaf_label
    from branched
    inner join leaf_labels
        on
            branched.breakdown = leaf_labels.breakdown
            and branched.branch_label = leaf_labels.branch_label
            and branched.leaf = leaf_labels.leaf
),

shown as (
    select
        breakdown,
        branch_label,
        leaf_label,
        count(distinct procedure_id) as n_procedures,
        {{ shown_quantile('kap_gy_cm2', 0.5, 'patient_key') }} as median_kap_gy_cm2,
        {{ shown_quantile('kap_gy_cm2', 0.75, 'patient_key') }} as q3_kap_gy_cm2,
        {{ shown_quantile('ka_r_mgy', 0.5, 'patient_key') }} as median_ka_r_mgy,
        {{ shown_quantile('fluoro_time_s', 0.5, 'patient_key') }} as median_fluoro_time_s,
        {{ shown_quantile('hp10_usv', 0.5, 'operator_id') }} as median_hp10_usv,
        {{ shown_quantile('hp10_usv', 0.75, 'operator_id') }} as q3_hp10_usv,
        {{ shown_quantile('hp10_per_kap_usv_per_gy_cm2', 0.5, 'operator_id') }} as median_hp10_per_kap_usv_per_gy_cm2
    from labelled
    group by breakdown, rollup(branch_label, leaf_label)
),

final as (
    select
        shown.breakdown,
        case when shown.breakdown != 'month_room' then strftime(span.begin_date, '%Y-%m') end as first_month,
        strftime(span.end_date - 1, '%Y-%m') as last_month,
        case when shown.breakdown = 'month_room' then shown.branch_label end as month,
        case when shown.breakdown != 'operator_group_procedure_type' then shown.leaf_label end as room,
        case
            when shown.breakdown = 'procedure_type_room' then shown.branch_label
            when shown.breakdown = 'operator_group_procedure_type' then shown.leaf_label
        end as procedure_type,
        case when shown.breakdown = 'operator_group_procedure_type' then shown.branch_label end as operator_group,
        {{ down_to_tens('shown.n_procedures') }} as procedures,
        shown.median_kap_gy_cm2,
        shown.q3_kap_gy_cm2,
        shown.median_ka_r_mgy,
        shown.median_fluoro_time_s,
        shown.median_hp10_usv,
        shown.q3_hp10_usv,
        shown.median_hp10_per_kap_usv_per_gy_cm2
    from shown
    cross join span
)

select * from final
