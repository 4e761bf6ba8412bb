"""The logical suite: do rows and tables agree with each other?"""

from __future__ import annotations

from expectations.contract import TABLES
from expectations.suites.check import CONTRACT, CONTRACT_2, LOST, OUR_FAULT, Check, rows_where


def logical() -> list[Check]:
    """Doses that are not negative, and rules between columns, rows and tables."""
    return [*_doses_are_not_negative(), *_rows_agree()]


# Sums that personal and patient decisions rest on. A counter that falls is a reset, so nothing here may be below zero.
NEVER_NEGATIVE: dict[str, tuple[str, ...]] = {
    "marts.fct_procedure": ("kap_gy_cm2", "ka_r_mgy", "fluoro_time_s", "c_arm_dose_usv"),
    "marts.fct_irradiation_event": ("kap_gy_cm2", "ka_r_mgy", "duration_s"),
    "marts.fct_operator_procedure": ("hp10_usv", "hp10_apportioned_usv", "other_over_apron_usv", "hp3_estimate_usv"),
    "marts.fct_operator_event": ("hp10_usv",),
    "marts.fct_operator_month": (
        "hp10_over_apron_usv",
        "hp10_linked_usv",
        "effective_dose_estimate_usv",
        "hp10_over_apron_warning_usv",
    ),
    "marts.fct_operator_limit": ("dose_msv", "fraction_of_limit", "warning_dose_msv"),
    "marts.fct_study_dose": (
        "kap_gy_cm2",
        "ka_r_mgy",
        "dlp_mgy_cm",
        "ctdi_vol_mgy",
        "agd_mgy",
        "effective_dose_estimate_msv",
    ),
    "marts.fct_patient_exposure": ("effective_dose_estimate_msv", "peak_msv"),
    "ledger.dose_balance": ("ingested_usv", "unlinked_usv", "apportioned_usv", "covered_by_samples_usv"),
}


def _doses_are_not_negative() -> list[Check]:
    return [
        Check(
            suite="logical",
            severity="block",
            table=table,
            column=column,
            rule="is not negative",
            risk="a negative part hides dose in a personal or patient sum",
            advice=OUR_FAULT,
            source="input contract, Dose values",
            unexpected_rows=rows_where(f'"{column}" < 0', table, column),
        )
        for table, columns in NEVER_NEGATIVE.items()
        for column in columns
    ]


PARTS_OF_A_BALANCE = (
    "linked_event_usv + linked_window_usv + linked_session_usv + linked_vendor_usv + linked_manual_usv"
    " + apportioned_usv + unlinked_usv + covered_by_samples_usv"
)
PLACES_OF_EVENTS = (
    "events_counted + events_counted_elsewhere + events_superseded + events_after_as_of + events_rejected"
)
DISPOSITIONS_OF_ROWS = (
    "counted",
    "repeated",
    "replaced",
    "conflicting",
    "after_as_of",
    "rejected",
    "superseded",
    "withdrawn",
)
ROWS_OF_A_FILE = " + ".join(f"rows_{disposition}" for disposition in DISPOSITIONS_OF_ROWS)
DOSES_OF_A_FILE = " + ".join(f"{disposition}_usv" for disposition in DISPOSITIONS_OF_ROWS)
AS_OF = "(select as_of from ops.build order by build_no desc limit 1)"


def _rows_agree() -> list[Check]:
    """Rules between columns, rows and tables; each row below is table, columns, rule, risk, source, offenders."""
    rules = [
        (
            "marts.fct_procedure",
            "started_at, ended_at",
            "a procedure does not end before it starts",
            "no badge record can be linked to it",
            CONTRACT,
            "select procedure_id, started_at, ended_at from marts.fct_procedure where ended_at < started_at",
        ),
        (
            "marts.fct_operator_month",
            "hp10_over_apron_warning_usv, effective_dose_low_usv, effective_dose_high_usv",
            "the warning dose is not below the electronic dose, nor the upper end of effective dose below the lower",
            "a person is warned too late, or not",
            CONTRACT_2,
            "select operator_id, month, hp10_over_apron_usv, hp10_over_apron_warning_usv, effective_dose_low_usv,"
            " effective_dose_high_usv from marts.fct_operator_month"
            " where hp10_over_apron_warning_usv < hp10_over_apron_usv"
            " or (hp10_over_apron_warning_usv is null and hp10_over_apron_usv is not null)"
            " or effective_dose_high_usv < effective_dose_low_usv",
        ),
        (
            "ledger.dose_balance",
            "imbalance_usv",
            "every ingested microsievert has exactly one disposition: imbalance is exactly 0, recomputed here",
            "dose is lost or counted twice",
            CONTRACT,
            "select source_id, dosimeter_serial, measured_date, quantity, imbalance_usv from ledger.dose_balance"
            f" where imbalance_usv is distinct from 0 or ingested_usv is distinct from {PARTS_OF_A_BALANCE}",
        ),
        (
            "ledger.linkage",
            "registered_usv",
            "what badges of record registered is what was linked, apportioned and unlinked, by month and wearer kind",
            "a sum over rooms loses dose or counts it twice",
            CONTRACT_2,
            "select room_id, month, wearer_kind, registered_usv, linked_usv, apportioned_usv, unlinked_usv"
            " from ledger.linkage"
            " where registered_usv is distinct from linked_usv + apportioned_usv + unlinked_usv",
        ),
        (
            "ledger.file_balance",
            "imbalance_rows, imbalance_usv",
            "every row and microsievert of a file has exactly one disposition: imbalance is exactly 0, recomputed here",
            "dose is lost between the bytes of a file and the ledger",
            CONTRACT_2,
            "select load_seq, path, quantity, imbalance_rows, imbalance_usv from ledger.file_balance"
            f" where imbalance_rows is distinct from 0 or rows_stated is distinct from {ROWS_OF_A_FILE}"
            f" or coalesce(imbalance_usv, 0) <> 0 or stated_usv is distinct from {DOSES_OF_A_FILE}",
        ),
        (
            "ledger.file_balance",
            "counted_usv",
            "rows of files that count are what the ledger ingested, by source and quantity (counters apart)",
            "dose is lost between the files and the ledger, or ingested twice",
            CONTRACT_2,
            "select source_id, quantity, counted_usv, ingested_usv from ("
            " select source_id, quantity, sum(counted_usv) as counted_usv,"
            " bool_or(counted_usv is null) as is_cumulative from ledger.file_balance group by all) full join ("
            " select source_id, quantity, sum(ingested_usv) as ingested_usv"
            " from ledger.dose_balance group by all) using (source_id, quantity)"
            " where is_cumulative is distinct from true and coalesce(counted_usv, 0) <> coalesce(ingested_usv, 0)",
        ),
        (
            "ledger.counter_balance",
            "imbalance_usv",
            "what counters rose between resets is what was ingested: imbalance is exactly 0, recomputed here",
            "a counter's dose is lost or counted twice",
            CONTRACT_2,
            "select source_id, dosimeter_serial, quantity, imbalance_usv from ledger.counter_balance"
            " where imbalance_usv is distinct from 0 or segment_rise_usv is distinct from ingested_usv",
        ),
        (
            "ledger.report_balance",
            "imbalance_events",
            "every irradiation event that a report states has one place: imbalance is exactly 0, recomputed here",
            "events are lost or counted twice",
            CONTRACT_2,
            "select load_seq, path, events_stated, imbalance_events from ledger.report_balance"
            " where imbalance_events is distinct from 0"
            f" or (events_stated is not null and events_stated is distinct from {PLACES_OF_EVENTS})",
        ),
        (
            "ledger.report_balance",
            "events_counted",
            "the events counted are the rows of marts.fct_irradiation_event",
            "an irradiation event is published that no report states, or the other way round",
            CONTRACT_2,
            "select events_counted, events_published from"
            " (select coalesce(sum(events_counted), 0) as events_counted from ledger.report_balance),"
            " (select count(*) as events_published from marts.fct_irradiation_event)"
            " where events_counted != events_published",
        ),
        (
            "marts.fct_operator_procedure",
            "procedure_id",
            "every row belongs to a procedure",
            LOST,
            CONTRACT,
            "select procedure_id, operator_id from marts.fct_operator_procedure"
            " anti join marts.fct_procedure using (procedure_id)",
        ),
        (
            "marts.fct_operator_procedure",
            "operator_id",
            "every operator is in dim_operator",
            LOST,
            CONTRACT,
            "select distinct operator_id from marts.fct_operator_procedure"
            " anti join marts.dim_operator using (operator_id)",
        ),
        (
            "marts.fct_irradiation_event",
            "procedure_id",
            "an event's procedure exists",
            LOST,
            CONTRACT,
            "select irradiation_event_uid, procedure_id from marts.fct_irradiation_event"
            " anti join marts.fct_procedure using (procedure_id) where procedure_id is not null",
        ),
        (
            "marts.fct_operator_procedure",
            "badge_status",
            "measured has dose, zero has dose 0, missing has none",
            "a badge that was not worn looks like a low dose",
            CONTRACT,
            "select procedure_id, operator_id, badge_status from marts.fct_operator_procedure"
            " where not case badge_status"
            " when 'measured' then coalesce(hp10_usv, 0) + coalesce(hp10_apportioned_usv, 0) > 0"
            " when 'zero' then hp10_usv = 0 and coalesce(hp10_apportioned_usv, 0) = 0"
            " else hp10_usv is null end",
        ),
        (
            "marts.fct_dose_explanation",
            "hp10_ratio",
            "the ratio to the usual dose is the product of its factors, to 1e-9",
            "people read a cause that does not explain the dose",
            CONTRACT_2,
            "select procedure_id, operator_id, hp10_ratio from marts.fct_dose_explanation"
            " where not abs(kap_factor * scatter_factor * protection_factor - hp10_ratio) <= 1e-9 * hp10_ratio",
        ),
        (
            "marts.dim_room",
            "room_id",
            "the room unknown exists",
            "reports of unknown rooms fall out of every join",
            CONTRACT,
            "select 'unknown' as missing_room where 'unknown' not in (select room_id from marts.dim_room)",
        ),
        *(
            (
                table,
                column,
                "no date lies after the as-of date of the build",
                "a figure for a past date changes with the day of the query",
                CONTRACT,
                f'select distinct "{column}" as later_than_as_of from {table} where "{column}" > {AS_OF}',
            )
            for table, column in (
                ("marts.fct_procedure", "procedure_date"),
                ("marts.fct_study_dose", "study_date"),
                ("ledger.dose_balance", "measured_date"),
                ("alerts.alert", "occurred_on"),
            )
        ),
        (
            "marts.fct_patient_exposure",
            "peak_msv",
            "no window of a patient holds more than the peak of its length, and a longer one not less than a shorter",
            "a patient who needs an examination is overlooked",
            CONTRACT,
            "select patient_key, dose_window, effective_dose_estimate_msv, peak_msv from marts.fct_patient_exposure"
            " where effective_dose_estimate_msv > peak_msv"
            " or peak_msv > (select longest.peak_msv from marts.fct_patient_exposure as longest"
            " where longest.patient_key = fct_patient_exposure.patient_key and longest.dose_window = 'all')",
        ),
        (
            "alerts.alert",
            "audience",
            "findings about a pregnancy are for the restricted audience only",
            "a health secret reaches people who must not know it",
            CONTRACT,
            "select true as is_restricted from alerts.alert"
            " where rule = 'pregnancy' and audience is distinct from 'restricted'",
        ),
        (
            "alerts.alert",
            "operator_id",
            "a finding for an operator names the operator",
            "a finding reaches no person or the wrong one",
            CONTRACT,
            f"select alert_id, rule, {TABLES['alerts.alert'].restricted} as is_restricted"
            " from alerts.alert where audience = 'operator' and operator_id is null",
        ),
        (
            "ledger.file",
            "load_seq",
            "every file that was ever seen has its row",
            "an input disappears without a word",
            CONTRACT,
            "select load_seq, shown_path as path from raw.file anti join ledger.file using (load_seq)",
        ),
        (
            "ledger.pull",
            "found",
            "every object that a server named is stored, known or failed",
            "dose reports of a server are missing without a word",
            CONTRACT,
            "select * from ledger.pull where found <> stored + known + failed or unanswered < 0",
        ),
        (
            "ledger.rejected_row",
            "path, line",
            "every rejected row is listed",
            "dose that could not be read disappears without a word",
            CONTRACT,
            "select counted.n as rejected, listed.n as listed"
            " from (select coalesce(sum(rows_rejected), 0) as n from ledger.file) as counted,"
            " (select count(*) as n from ledger.rejected_row) as listed where counted.n <> listed.n",
        ),
    ]
    return [
        Check(
            suite="logical",
            severity="block",
            table=table,
            column=column,
            rule=rule,
            risk=risk,
            advice=OUR_FAULT,
            source=source,
            unexpected_rows=offenders,
        )
        for table, column, rule, risk, source, offenders in rules
    ]
