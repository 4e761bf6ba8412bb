"""A small build database in the shape of the output contract, for tests of what comes after the build.

Two procedures, two operators, four findings; types follow the endings of the column names, as the contract promises.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from expectations.contract import RULES, TABLES
from expectations.gate import SuiteVerdict, Verdict, record
from expectations.suites import SUITES
from orchestration.publication.build_record import record_input

TYPES = {
    "fraction_of_limit": "double",
    "has_report": "boolean",
    "has_recent_finding": "boolean",
    "has_urgent_finding": "boolean",
    "has_skin_followup": "boolean",
    "irradiation_events": "bigint",
    "is_total_used": "boolean",
    "load_seq": "bigint",
    "line": "bigint",
    "month": "date",
    "n": "bigint",
    "n_operators": "bigint",
    "n_patients": "bigint",
    "fired": "bigint",
    "answered": "bigint",
    "false_alarms": "bigint",
    "calendar_date": "date",
    "day_of_week": "bigint",
    "week": "date",
    "year": "bigint",
    "quarter": "date",
    "period_begin": "date",
    "period_end": "date",
    "protection_ratio": "double",
    "ci_low": "double",
    "ci_high": "double",
    "q1": "double",
    "median": "double",
    "q3": "double",
    "change_vs_last_year": "double",
    "change_low": "double",
    "change_high": "double",
    "median_days_to_answer": "double",
    "n_reference": "bigint",
    "occurred_on": "date",
    "offset_s": "decimal(18, 3)",
    "patient_age_years": "integer",
    "procedures": "bigint",
    "readings": "bigint",
    "segments": "bigint",
    "threshold": "double",
    "value": "double",
    "works_from": "date",
    "works_to": "date",
}
BEGINNINGS = ("rows_", "events_", "imbalance_rows", "imbalance_events")  # counts
COUNTS = ("studies", "series", "found", "stored", "known", "failed", "unanswered", "reports", "readings", "segments")
ENDINGS = {
    "_at": "timestamptz",
    "_date": "date",
    "_usv": "double",
    "_msv": "double",
    "_mgy": "double",
    "_gy_cm2": "double",
    "_s": "double",
    "_deg": "double",
    "_percent": "double",
    "_ratio": "double",
    "_to_drl": "double",
    "_mgy_cm": "double",
    "_per_h": "double",
    "_factor": "double",
    "kvp": "double",
}

ROWS: dict[str, list[dict[str, object]]] = {
    "marts.dim_room": [{"room_id": "CATH1"}, {"room_id": "unknown"}],
    "marts.dim_operator": [{"operator_id": "OP1", "grade": "consultant"}, {"operator_id": "OP2", "grade": "nurse"}],
    "marts.fct_procedure": [
        {
            "procedure_id": f"P{number}",
            "room_id": "CATH1",
            "procedure_date": "2024-03-05",
            "started_at": "2024-03-05 08:00:00+00",
            "ended_at": "2024-03-05 09:00:00+00",
            "kap_gy_cm2": 40.0,
            "ka_r_mgy": 400.0,
            "kap_source": "accumulated",
            "clock_confidence": "high",
        }
        for number in (1, 2)
    ],
    "marts.fct_operator_procedure": [
        {
            "procedure_id": "P1",
            "operator_id": "OP1",
            "role_group": "first_operator",
            "hp10_usv": 120.0,
            "link_method": "event",
            "link_confidence": "high",
            "badge_status": "measured",
        }
    ],
    "marts.fct_operator_limit": [
        {"operator_id": "OP1", "quantity": "effective", "dose_window": window, "limit_rule": "eu", "dose_msv": 0.4}
        for window in ("calendar_year", "pregnancy")
    ],
    "alerts.alert": [
        {
            "alert_id": f"A{number}",
            "rule": rule,
            "severity": "notice",
            "subject_type": "operator",
            "operator_id": "OP1",
            "occurred_on": "2024-03-05",
            "value": 120.0,
            "threshold": 100.0,
            "audience": audience,
            "state": "open",
        }
        for number, (rule, audience) in enumerate(
            [
                ("absolute_dose", "operator"),
                ("procedure_dose", "operator"),
                ("badge_not_worn", "medical_physics"),
                ("pregnancy", "restricted"),
            ]
        )
    ],
    "ledger.dose_balance": [
        {
            "source_id": "cath",
            "dosimeter_serial": "B1",
            "measured_date": "2024-03-05",
            "quantity": "hp10",
            "ingested_usv": "120.000000001",
            "linked_event_usv": "120.000000000",
            "unlinked_usv": "0.000000001",
        }
    ],
    "ledger.file_balance": [
        {
            "load_seq": 41,
            "path": "inbox/dosimeters/cath/1.csv",
            "source_id": "cath",
            "quantity": "hp10",
            "rows_stated": 2,
            "rows_counted": 2,
            "stated_usv": "120.000000001",
            "counted_usv": "120.000000001",
        }
    ],
    "ledger.file": [
        {"path": f"inbox/dose_reports/{number}.dcm", "load_seq": number, "kind": "dose_report", "status": "loaded"}
        for number in range(1, 41)
    ],
}


def make_build(path: Path, as_of: str = "2024-03-31", fingerprint: str = "f1", build_id: str = "b1") -> Path:
    """Writes a build database that every suite passes, with its build recorded and no verdict yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(path) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(
            "create schema raw; create schema ops; create schema marts; create schema alerts; create schema ledger"
        )
        con.execute("create table raw.warehouse as select 1 as schema_version, 'hcx' as site_id, 'k1' as key_id")
        for name in TABLES:
            con.execute(f"create table {name} ({columns_of(name)})")
        con.execute("alter table marts.dim_operator add column pregnancy_declared_on date")
        con.execute("comment on column marts.fct_procedure.kap_gy_cm2 is 'KAP, Gy·cm²'")
        for name, rows in ROWS.items():
            for row in rows:
                _insert(con, name, row)
        con.execute("create table raw.file as select load_seq, path as shown_path from ledger.file")
        con.execute("create table raw.recent_file as select load_seq from ledger.file")
        for rule in RULES:
            con.execute(f"create view alerts.{rule} as select * from alerts.alert where rule = '{rule}'")
        con.execute(
            "create table ops.build (build_no bigint, build_id varchar, started_at timestamptz,"
            " finished_at timestamptz, as_of date, is_complete boolean, succeeded boolean, failures varchar)"
        )
    add_build(path, build_id, as_of, fingerprint)
    return path


def add_build(path: Path, build_id: str, as_of: str = "2024-03-31", fingerprint: str = "f1") -> None:
    """A further successful build of the same tables."""
    with duckdb.connect(path) as con:
        con.execute(
            "insert into ops.build select count(*) + 1, ?, now(), now(), ?, true, true, null from ops.build",
            [build_id, as_of],
        )
        record_input(con, build_id, fingerprint)


def pass_gate(path: Path, build_id: str = "b1") -> None:
    """A passing verdict, as the gate would record it."""
    with duckdb.connect(path) as con:
        record(con, build_id, Verdict([SuiteVerdict(suite, 10, []) for suite in SUITES]))


def change(path: Path, sql: str) -> None:
    """Runs SQL on the build database."""
    with duckdb.connect(path) as con:
        con.execute(sql)


def columns_of(name: str) -> str:
    """Columns and types of a published table, as SQL."""
    return ", ".join(f'"{column}" {column_type(name, column)}' for column in TABLES[name].columns)


def column_type(name: str, column: str) -> str:
    """The type of a column of a published table."""
    if name.startswith("ledger.") and column.endswith("_usv"):
        return "decimal(18, 9)"
    if column.startswith("is_"):
        return "boolean"
    if column.startswith(BEGINNINGS) or column in COUNTS:
        return "bigint"
    return TYPES.get(column) or next((ENDINGS[end] for end in ENDINGS if column.endswith(end)), "varchar")


def _insert(con: duckdb.DuckDBPyConnection, name: str, row: dict[str, object]) -> None:
    exact = {
        column: "0"
        for column in TABLES[name].columns
        if column_type(name, column) == "decimal(18, 9)" or column.startswith(BEGINNINGS)
    }
    values = exact | row
    columns = ", ".join(f'"{column}"' for column in values)
    con.execute(f"insert into {name} ({columns}) values ({', '.join('?' * len(values))})", list(values.values()))
