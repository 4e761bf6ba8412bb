"""The three suites as data: structural (is it there), logical (does it obey rules), plausible (can it be true).

One row per check, with the risk it guards and what to do. Judging them is gate.py; names of tables are contract.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from expectations.contract import LEGAL_WORDS, RULES, TABLES

Suite = Literal["structural", "logical", "plausible"]
Severity = Literal["block", "warn"]
SUITES: tuple[Suite, ...] = get_args(Suite)
QUESTIONS: dict[Suite, str] = {
    "structural": "Is everything there that the output contract promises: tables, columns, types, keys, words?",
    "logical": "Do rows and tables agree with each other; does every microsievert have one disposition?",
    "plausible": "Can it be true: quantities that a patient, a badge or a tube can have; few files in quarantine?",
}


@dataclass(frozen=True)
class Settings:
    """What a site may set about its gate.

    Attributes:
        max_quarantined_files_share: largest share (0..1) of the files of the last 30 days that may be quarantined.
    """

    max_quarantined_files_share: Decimal = Decimal("0.05")


@dataclass(frozen=True, eq=False, kw_only=True)
class Check:
    """What every check says of itself.

    Attributes:
        table: the table it is about, with its schema.
        column: the column (or comma-separated columns) it is about.
        rule: one sentence that holds for every row of a believable table.
        risk: what would go wrong for a reader if the rule were broken and nobody noticed.
        advice: what a person does about it.
        source: where the rule or the bound comes from.
        family: what checks with the same question are called together; empty = the rule says it.
    """

    suite: Suite
    severity: Severity
    table: str
    column: str
    rule: str
    risk: str
    advice: str
    source: str
    family: str = ""


@dataclass(frozen=True)
class Expectation:
    """What Great Expectations is asked of one column: a class name of its ``expectations`` and the arguments."""

    kind: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowCheck(Check):
    """An expectation on each row of a table. ``expression`` is SQL of ``column`` where the table has no such column."""

    expectation: Expectation
    expression: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class OffenderCheck(Check):
    """A query that lists the rows that break the rule; there must be none.

    For what one row of one table cannot tell: keys, references, sums in DECIMAL (pandas has only floats), catalogue.

    Attributes:
        offenders: SQL select of the columns that name an offending row; where one of them is the boolean
            ``is_restricted``, such a row is counted and never named.
    """

    offenders: str


def checks(settings: Settings) -> list[RowCheck | OffenderCheck]:
    """All checks of all suites, in the order in which they are reported."""
    return [
        *_tables_have_their_columns(),
        *_rules_have_their_view(),
        *_keys_name_one_row(),
        *_columns_have_their_type(),
        *_words_are_legal(),
        *_doses_are_not_negative(),
        *_rows_agree(),
        *_few_files_are_quarantined(settings),
        _field_area_kept_its_size(),
        *_values_are_possible(),
    ]


CONTRACT = "output contract v1"
CONTRACT_2 = "contract, version 2"
MISSING = "a report or BI query that relies on the contract breaks or reads something else"
OUR_FAULT = "A fault of this product, not of the data: keep the old publication, report it with this sentence."
LOST = "a figure is counted twice, lost, or told of the wrong person"
UNITS = "a wrong unit or a broken report makes every indicator, quartile and alert of the room wrong"
SEE_REPORT = (
    "Compare with the modality's own report; if the device states wrong values, tell its service and correct KAP by"
    " reference/kap_calibration.csv."
)
SEE_BADGE = (
    "Look at the badge's export rows; dose that nobody received belongs into reference/corrections.csv"
    " (not_occupational)."
)


def _tables_have_their_columns() -> list[RowCheck | OffenderCheck]:
    """One check per contract table: a table that does not exist lacks all its columns."""
    return [
        OffenderCheck(
            suite="structural",
            severity="block",
            table=name,
            column=", ".join(table.columns),
            rule="the table has every column of the output contract",
            risk=MISSING,
            advice=OUR_FAULT,
            source=CONTRACT,
            offenders=(
                f"select unnest({list(table.columns)}) as missing_column except"
                f" select column_name from duckdb_columns() where schema_name || '.' || table_name = '{name}'"
            ),
        )
        for name, table in TABLES.items()
    ]


def _rules_have_their_view() -> list[RowCheck | OffenderCheck]:
    return [
        OffenderCheck(
            suite="structural",
            severity="block",
            table="alerts",
            column="",
            rule="every alert rule of the contract has its view",
            risk=MISSING,
            advice=OUR_FAULT,
            source=CONTRACT,
            offenders=(
                f"select unnest({list(RULES)}) as missing_view except"
                " select view_name from duckdb_views() where schema_name = 'alerts'"
            ),
        )
    ]


def _keys_name_one_row() -> list[RowCheck | OffenderCheck]:
    """Keys are counted by DuckDB: a duplicate may be anywhere in a table that is too long for memory."""
    return [
        OffenderCheck(
            suite="structural",
            severity="block",
            table=name,
            column=", ".join(table.key + table.optional_key),
            rule="the key names exactly one row and is never empty",
            risk=LOST,
            advice=OUR_FAULT,
            source=CONTRACT,
            offenders=_broken_keys(name),
        )
        for name, table in TABLES.items()
        if table.key
    ]


def _broken_keys(name: str) -> str:
    table = TABLES[name]
    columns = ", ".join(f'"{column}"' for column in table.key + table.optional_key)
    empty = " or ".join(f'"{column}" is null' for column in table.key)
    return (
        f"select {columns}, count(*) as rows_with_it, bool_or({table.restricted}) as is_restricted"
        f" from {name} group by {columns} having count(*) > 1 or {empty}"
    )


# What the end of a column name promises, per schema. Exact doses live in the ledger only; facts are cast last.
TYPES_BY_ENDING: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("marts", "alerts", "ledger"), "_at", "TIMESTAMP WITH TIME ZONE"),
    (("marts", "alerts", "ledger"), "_date", "DATE"),
    (("marts",), "_usv", "DOUBLE"),
    (("marts",), "_msv", "DOUBLE"),
    (("marts",), "_mgy", "DOUBLE"),
    (("marts",), "_gy_cm2", "DOUBLE"),
    (("ledger",), "_usv", "DECIMAL(18,9)"),
)


def _columns_have_their_type() -> list[RowCheck | OffenderCheck]:
    return [
        OffenderCheck(
            suite="structural",
            severity="block",
            table=", ".join(schemas),
            column=f"*{ending}",
            rule=f"every column *{ending} is {data_type}",
            family="every column has the type that its ending promises",
            risk=MISSING,
            advice=OUR_FAULT,
            source=CONTRACT,
            offenders=(
                "select schema_name || '.' || table_name || '.' || column_name as wrong_column, data_type"
                f" from duckdb_columns() where list_contains({list(schemas)}, schema_name)"
                f" and ends_with(column_name, '{ending}') and data_type <> '{data_type}'"
                " and column_name <> 'worn_at'"  # a place on the body
            ),
        )
        for schemas, ending, data_type in TYPES_BY_ENDING
    ]


def _words_are_legal() -> list[RowCheck | OffenderCheck]:
    return [
        RowCheck(
            suite="structural",
            severity="block",
            table=table,
            column=column,
            rule=f"is one of {', '.join(words)}",
            family="every word is one of the contract's",
            risk="a filter on the contract's words silently leaves rows out",
            advice=OUR_FAULT,
            source=CONTRACT,
            expectation=Expectation("ExpectColumnValuesToBeInSet", {"value_set": list(words)}),
        )
        for table, columns in LEGAL_WORDS.items()
        for column, words in columns.items()
    ]


# Sums that personal and patient decisions rest on. A counter that falls is a reset, so nothing here may be below zero.
NEVER_NEGATIVE: dict[str, tuple[str, ...]] = {
    "marts.fct_procedure": ("kap_gy_cm2", "ka_r_mgy", "fluoro_time_s", "c_arm_dose_usv"),
    "marts.fct_irradiation_event": ("kap_gy_cm2", "ka_r_mgy", "duration_s"),
    "marts.fct_operator_procedure": ("hp10_usv", "hp10_apportioned_usv", "other_over_apron_usv", "hp3_estimate_usv"),
    "marts.fct_operator_event": ("hp10_usv",),
    "marts.fct_operator_month": ("hp10_over_apron_usv", "hp10_linked_usv", "effective_dose_estimate_usv"),
    "marts.fct_operator_limit": ("dose_msv", "fraction_of_limit"),
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


def _doses_are_not_negative() -> list[RowCheck | OffenderCheck]:
    return [
        RowCheck(
            suite="logical",
            severity="block",
            table=table,
            column=column,
            rule="is not negative",
            risk="a negative part hides dose in a personal or patient sum",
            advice=OUR_FAULT,
            source="input contract, Dose values",
            expectation=Expectation("ExpectColumnValuesToBeBetween", {"min_value": 0}),
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


def _rows_agree() -> list[RowCheck | OffenderCheck]:
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
            "ledger.dose_balance",
            "imbalance_usv",
            "every ingested microsievert has exactly one disposition: imbalance is exactly 0, recomputed here",
            "dose is lost or counted twice",
            CONTRACT,
            "select source_id, dosimeter_serial, measured_date, quantity, imbalance_usv from ledger.dose_balance"
            f" where imbalance_usv is distinct from 0 or ingested_usv is distinct from {PARTS_OF_A_BALANCE}",
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
                "a figure for a past date changes with the day on which it is asked",
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
            "a patient who needs to be looked at is overlooked",
            CONTRACT,
            'select patient_key, "window", effective_dose_estimate_msv, peak_msv from marts.fct_patient_exposure'
            " where effective_dose_estimate_msv > peak_msv"
            " or peak_msv > (select longest.peak_msv from marts.fct_patient_exposure as longest"
            " where longest.patient_key = fct_patient_exposure.patient_key and longest.\"window\" = 'all')",
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
            "a finding reaches nobody or the wrong person",
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
        OffenderCheck(
            suite="logical",
            severity="block",
            table=table,
            column=column,
            rule=rule,
            risk=risk,
            advice=OUR_FAULT,
            source=source,
            offenders=offenders,
        )
        for table, column, rule, risk, source, offenders in rules
    ]


# Of fewer files a single refused one is more than its share, and a small site could never publish.
FILES_TO_BLOCK = 20


def _few_files_are_quarantined(settings: Settings) -> list[OffenderCheck]:
    share = settings.max_quarantined_files_share
    by_severity: dict[Severity, tuple[str, str]] = {
        "block": (f"of {FILES_TO_BLOCK} or more files", f">= {FILES_TO_BLOCK}"),
        "warn": (f"of fewer than {FILES_TO_BLOCK} files", f"< {FILES_TO_BLOCK}"),
    }
    return [
        OffenderCheck(
            suite="plausible",
            severity=severity,
            table="ledger.file",
            column="status",
            rule=(
                f"{of_files} first seen in the last 30 days that are still in the inbox or received, at most {share:f}"
                " are quarantined (site.yaml, gate.max_quarantined_files_share)"
            ),
            risk="a changed export or a broken link makes a whole badge system or room look dose-free",
            advice=(
                "`doseledger status` names the files and why; correct the source description or the export, or move the"
                " file to where it belongs, then run again."
            ),
            source="input contract, site.yaml",
            offenders=(
                "select count(*) filter (status = 'quarantined') as quarantined, count(*) as files"
                " from ledger.file semi join raw.recent_file using (load_seq) where status <> 'ignored'"
                f" having count(*) {bound} and count(*) filter (status = 'quarantined') > {share:f} * count(*)"
            ),
        )
        for severity, (of_files, bound) in by_severity.items()
    ]


FIELD_AREA_CM2 = "case when ka_r_mgy > 0 and kap_gy_cm2 > 0 then kap_gy_cm2 / (ka_r_mgy / 1000) end"


def _field_area_kept_its_size() -> OffenderCheck:
    """A factor of ten hides inside the range of all rooms, not inside a room's own; √10 is half of it in logarithms."""
    return OffenderCheck(
        suite="plausible",
        severity="warn",
        table="marts.fct_procedure",
        column="room_id",
        rule="the mean field area (KAP / Ka,r) of a room's last 20 procedures is the one it had before, within √10",
        risk=UNITS,
        advice=SEE_REPORT,
        source="a unit changed by a factor of ten; medians over the rule of 20 (ICRP 135)",
        offenders=f"""
            with areas as (
                select
                    room_id,
                    {FIELD_AREA_CM2} as area_cm2,
                    row_number() over (partition by room_id order by started_at desc, procedure_id) <= 20 as is_recent
                from marts.fct_procedure
                where area_cm2 is not null and started_at is not null and room_id <> 'unknown'
            )

            select
                room_id,
                round(median(area_cm2) filter (is_recent)) as recent_cm2,
                round(median(area_cm2) filter (not is_recent)) as before_cm2
            from areas
            group by room_id
            having
                count(*) filter (not is_recent) >= 20
                and abs(log10(median(area_cm2) filter (is_recent) / median(area_cm2) filter (not is_recent))) > 0.5
        """,
    )


@dataclass(frozen=True)
class Range:
    """The values that a quantity can have in reality; None = no bound. ``expression`` where it is not a column."""

    table: str
    column: str
    low: float | None
    high: float | None
    unit: str
    severity: Severity
    advice: str
    source: str
    expression: str | None = None


FIELD_AREA = "own bounds; 45 to 414 cm² (KAP/Ka,r) were seen in eight real reports"
POSSIBLE: tuple[Range, ...] = (
    Range("marts.fct_procedure", "kap_gy_cm2", None, 5000, "Gy·cm²", "block", SEE_REPORT, FIELD_AREA),
    Range("marts.fct_procedure", "ka_r_mgy", None, 30_000, "mGy", "block", SEE_REPORT, FIELD_AREA),
    Range(
        "marts.fct_procedure",
        "mean_field_area_cm2",
        20,
        1500,
        "cm² (KAP / Ka,r)",
        "warn",
        SEE_REPORT,
        FIELD_AREA + "; 45..414 cm² over 8 real reports",
        expression=FIELD_AREA_CM2,
    ),
    Range("marts.fct_procedure", "fluoro_time_s", None, 21_600, "s", "warn", SEE_REPORT, "six hours; SRDL is one"),
    Range(
        "marts.fct_procedure",
        "c_arm_dose_usv",
        None,
        100_000,
        "µSv",
        "warn",
        SEE_BADGE,
        "Vañó 2024, Phys Med 121:103361 gives about 8 µSv/(Gy·cm²): at 5000 Gy·cm² 40 mSv",
    ),
    Range("marts.fct_procedure", "patient_age_years", 0, 120, "years", "warn", SEE_REPORT, "human life span"),
    Range(
        "marts.fct_procedure",
        "clock_offset_s",
        -4500,
        4500,
        "s",
        "warn",
        "Set the modality's or the badge system's clock; see ledger.clock_offset.",
        "the estimator searches 15 minutes around a zone fault of 1 h",
    ),
    Range("marts.fct_irradiation_event", "kap_gy_cm2", None, 5000, "Gy·cm²", "block", SEE_REPORT, FIELD_AREA),
    Range("marts.fct_irradiation_event", "ka_r_mgy", None, 30_000, "mGy", "block", SEE_REPORT, FIELD_AREA),
    Range("marts.fct_irradiation_event", "kvp", 20, 150, "kV", "warn", SEE_REPORT, "range of diagnostic X-ray tubes"),
    Range(
        "marts.fct_irradiation_event", "duration_s", None, 3600, "s", "warn", SEE_REPORT, "SRDL of a whole procedure"
    ),
    Range("marts.fct_irradiation_event", "primary_angle_deg", -180, 180, "°", "warn", SEE_REPORT, "DICOM (0018,1510)"),
    Range(
        "marts.fct_irradiation_event", "secondary_angle_deg", -180, 180, "°", "warn", SEE_REPORT, "DICOM (0018,1511)"
    ),
    Range(
        "marts.fct_operator_procedure",
        "hp10_usv",
        None,
        20_000,
        "µSv",
        "warn",
        SEE_BADGE,
        "EU BSS 2013/59 art. 9: a year's effective dose in one procedure",
    ),
    Range(
        "marts.fct_operator_procedure",
        "peak_rate_usv_per_h",
        None,
        300_000,
        "µSv/h",
        "warn",
        SEE_BADGE,
        "upper end of the badges' range (makers' manuals)",
    ),
    Range(
        "marts.fct_operator_procedure",
        "hp10_to_c_arm_percent",
        None,
        100,
        "%",
        "warn",
        "More than the unshielded C-arm badge: look where both badges were.",
        "own bound after Vañó 2024, Phys Med 121:103361: above 30 % is near-unshielded",
    ),
    Range(
        "marts.fct_operator_month",
        "hp10_over_apron_usv",
        None,
        20_200,
        "µSv",
        "warn",
        SEE_BADGE,
        "Sánchez 2012, JVIR: highest month of 28 radiologists in 10 hospitals",
    ),
    Range(
        "marts.fct_operator_month",
        "epd_to_badge_ratio",
        0.5,
        2,
        "",
        "warn",
        "Below: the electronic badge was forgotten; above: the passive badge was not worn. Ask the wearer.",
        "own bound; electronic and passive badges agree within some 30 % (ORAMED)",
    ),
    Range("marts.fct_study_dose", "dlp_mgy_cm", None, 20_000, "mGy·cm", "warn", SEE_REPORT, "several whole-body scans"),
    Range("marts.fct_study_dose", "ctdi_vol_mgy", None, 1000, "mGy", "warn", SEE_REPORT, "perfusion CT of the head"),
    Range("marts.fct_study_dose", "agd_mgy", None, 50, "mGy", "warn", SEE_REPORT, "usual 1..3 mGy per view"),
    Range(
        "marts.fct_study_dose",
        "effective_dose_estimate_msv",
        None,
        1000,
        "mSv",
        "warn",
        SEE_REPORT,
        "IAEA 2019, recurrent imaging: one procedure may exceed 100 mSv",
    ),
    Range(
        "marts.fct_reference_level",
        "ratio_to_drl",
        0.02,
        20,
        "",
        "warn",
        "Look for a wrong unit in reference/drl.csv or a wrong class in reference/procedure_types.csv.",
        "own bound: classes differ by less",
    ),
)


def _values_are_possible() -> list[RowCheck | OffenderCheck]:
    return [
        RowCheck(
            suite="plausible",
            severity=limit.severity,
            table=limit.table,
            column=limit.column,
            rule=_range_sentence(limit),
            family="the value is one that the quantity can have",
            risk=UNITS,
            advice=limit.advice,
            source=limit.source,
            expectation=Expectation("ExpectColumnValuesToBeBetween", {"min_value": limit.low, "max_value": limit.high}),
            expression=limit.expression,
        )
        for limit in POSSIBLE
    ]


def _range_sentence(limit: Range) -> str:
    if limit.low is None:
        return f"is at most {limit.high:g} {limit.unit}".rstrip()
    return f"is {limit.low:g} to {limit.high:g} {limit.unit}".rstrip()
