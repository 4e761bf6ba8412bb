"""The one table of the reference CSVs: their columns, types, legal values and keys, and the raw tables made from it.

Only what a legal row is lives here (docs/contract/inputs.md); rows are read and refused by ``reference_reader.py``, and
what they mean for dose is decided in dbt.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

import duckdb

from ingest.cells import CellType, Value, exact
from ingest.units import DICOM_UNITS, dicom_unit

Row = dict[str, Value]
RowCheck = Callable[[Row], tuple[str, str] | None]

LANGUAGES = ("en", "fr", "es")
SPECIALTIES = ("cardiology", "radiology", "vascular_surgery", "neuroradiology", "other")
HIGHEST_SKIN_GRADE = 4  # of the common scales of radiation dermatitis: 0 nothing, 4 ulcer
# Those that the seed dose_limits has limits of.
Jurisdiction = Literal[
    "eu", "es", "fr", "it", "pt", "de", "no", "uk", "ch", "us", "br", "ma", "tn", "dz", "sn", "jp", "in", "iaea"
]
LIMIT_QUANTITIES = ("effective", "effective_dose_equivalent", "lens", "extremity", "uterus")
LIMIT_WINDOWS = ("calendar_year", "rolling_12_months", "rolling_5_years", "month", "career", "pregnancy")
UNKNOWN_ROOM = "unknown"  # the room of reports that no row of rooms.csv fits: no real room may be called so
PAGE_ROLES = ("physics", "occupational_physician", "department")
ALERT_ID_CHARACTERS = 8  # of an alert_id that name a finding: letters give so many


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a reference CSV.

    Attributes:
        name: its header.
        type: how a cell is read; an empty cell is unknown (None) in every type.
        is_required: every row must have a value.
        allowed: the legal values, if they are a closed list.
        refers_to: (table, column) that must hold the value.
        is_list: a cell may hold several values, separated by blanks; each is judged by itself.
        is_private: a message never quotes its value.
        stored_as: name in the raw table, where the header is a word that SQL keeps for itself.
    """

    name: str
    type: CellType = "text"
    is_required: bool = False
    allowed: tuple[str, ...] = ()
    refers_to: tuple[str, str] | None = None
    is_list: bool = False
    is_private: bool = False
    stored_as: str | None = None

    @property
    def raw_name(self) -> str:
        """Name in the raw table."""
        return self.stored_as or self.name


@dataclass(frozen=True, slots=True)
class Table:
    """One reference CSV.

    Attributes:
        name: file name without ``.csv``; the raw table is ``raw.ref_<name>``.
        columns: in the order of the contract.
        key: columns that together name a row; a later row with the same values is refused.
        one_at_a_time: columns for whose values only one row may hold at any time of ``span``.
        span: first and last column of a row's validity, the first never after the last.
        checks: rules over several columns; each returns (column, what is wrong) or None.
        derived: columns of the raw table that are computed from a legal row, with their computation.
        is_required: the site must have the file.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    one_at_a_time: tuple[str, ...] = ()
    span: tuple[str, str] | None = None
    checks: tuple[RowCheck, ...] = ()
    derived: tuple[tuple[Column, Callable[[Row], Value]], ...] = ()
    is_required: bool = False

    @property
    def raw_columns(self) -> tuple[Column, ...]:
        """The columns of the raw table, without ``line`` and ``extra``."""
        return (*self.columns, *(column for column, _ in self.derived))

    @property
    def file(self) -> str:
        """Path relative to the site."""
        return f"reference/{self.name}.csv"


# --- rules over several cells of a row -------------------------------------------------------------------


def _room_has_a_real_name(row: Row) -> tuple[str, str] | None:
    if str(row["room_id"]).casefold() != UNKNOWN_ROOM:
        return None
    return "room_id", "'unknown' is kept for reports of no known room; give the room another id"


def _badge_has_one_wearer(row: Row) -> tuple[str, str] | None:
    if row["worn_at"] == "c_arm":
        if row["room_id"] is None:
            return "room_id", "is empty; name the room whose C-arm has this badge"
        if row["operator_id"] is not None:
            return "operator_id", "must be empty for a badge on a C-arm"
    elif row["operator_id"] is None:
        return "operator_id", "is empty; name the person who wears this badge"
    return None


def _logbook_names_a_study(row: Row) -> tuple[str, str] | None:
    if row["study_instance_uid"] is None and row["accession_number"] is None:
        return "study_instance_uid", "names no study; give study_instance_uid or accession_number"
    return None


def _link_has_one_procedure(row: Row) -> tuple[str, str] | None:
    if (row["procedure_id"] is None) == (row["accession_number"] is None):
        return "procedure_id", "give either procedure_id or accession_number, and leave the other empty"
    return None


def _finding_can_be_named(row: Row) -> tuple[str, str] | None:
    if len(str(row["alert_id"])) < ALERT_ID_CHARACTERS:
        return "alert_id", f"give at least the first {ALERT_ID_CHARACTERS} characters of an alert_id, or procedure:ID"
    return None


def _login_has_one_reader(row: Row) -> tuple[str, str] | None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._@-]{0,63}", str(row["login"])):
        return "login", "must be 1 to 64 of a-z, 0-9 and . _ @ -, beginning with a letter or digit; choose another name"
    if (row["operator_id"] is None) == (row["role"] is None):
        return "operator_id", "give either operator_id or role, and leave the other empty"
    return None


def _grade_of_a_look(row: Row) -> tuple[str, str] | None:
    grade = row["skin_grade"]
    if grade is None:
        return None
    if row["seen_on"] is None:
        return "seen_on", "is empty; a skin_grade needs the date on which the skin was seen"
    if isinstance(grade, int) and not 0 <= grade <= HIGHEST_SKIN_GRADE:
        return "skin_grade", f"must be 0 to {HIGHEST_SKIN_GRADE}"
    return None


def _offset_has_one_subject(row: Row) -> tuple[str, str] | None:
    if (row["room_id"] is None) == (row["source_id"] is None):
        return "room_id", "give either room_id or source_id, and leave the other empty"
    return None


def _other_wearer_is_named(row: Row) -> tuple[str, str] | None:
    if row["kind"] == "worn_by" and row["operator_id"] is None:
        return "operator_id", "is empty; name who wore the badge"
    return None


def _pattern_is_readable(row: Row) -> tuple[str, str] | None:
    if row["match"] != "regex":
        return None
    # DuckDB is what matches it later, and its patterns are not Python's. A literal, for a bound value loads pandas.
    literal = str(row["pattern"]).replace("'", "''")
    try:
        duckdb.execute(f"select regexp_matches('', '{literal}')")
    except duckdb.Error:
        return "pattern", "is not a regular expression that DuckDB (RE2) can read; correct it"
    return None


def _hash_is_whole(row: Row) -> tuple[str, str] | None:
    if re.fullmatch("[0-9a-f]{64}", str(row["sha256"])):
        return None
    return "sha256", "is not a SHA-256: write the 64 small hexadecimal digits that ledger.file shows"


def _confirmation_is_whole(row: Row) -> tuple[str, str] | None:
    if (row["confirmed_by"] is None) == (row["confirmed_on"] is None):
        return None
    empty = "confirmed_by" if row["confirmed_by"] is None else "confirmed_on"
    return empty, "is empty; give both confirmed_by and confirmed_on, or neither"


def _pregnancy_has_its_window(row: Row) -> tuple[str, str] | None:
    if (row["category"] == "pregnant") == (row["dose_window"] == "pregnancy"):
        return None
    return "dose_window", "the window pregnancy and the category pregnant belong together"


_DRL_MEASURES = {"kap": "kap", "ka_r": "kerma", "fluoro_time": "time", "ctdi_vol": "kerma", "dlp": "dlp"}


def _level_has_a_unit(row: Row) -> tuple[str, str] | None:
    measure = _DRL_MEASURES[str(row["quantity"])]
    kind, _ = dicom_unit(str(row["unit"])) or ("", None)
    if kind == measure:
        return None
    legal = ", ".join(code for code, (what, _) in DICOM_UNITS.items() if what == measure)
    return "unit", f"{row['unit']!r} is no unit of {row['quantity']}; use one of {legal}"


def _level_in_canonical_unit(row: Row) -> Decimal:
    """The reference level in Gy.cm2, mGy, s or mGy.cm."""
    unit = dicom_unit(str(row["unit"]))
    assert unit is not None  # noqa: S101 - _level_has_a_unit has passed
    return exact(Decimal(str(row["value"])) * unit[1])


def _above_zero(column: str) -> RowCheck:
    def check(row: Row) -> tuple[str, str] | None:
        value = row[column]
        return (column, "must be more than 0") if isinstance(value, Decimal) and value <= 0 else None

    return check


def _share_of_one(column: str) -> RowCheck:
    def check(row: Row) -> tuple[str, str] | None:
        value = row[column]
        if isinstance(value, Decimal) and not 0 < value <= 1:
            return (
                column,
                "must be more than 0 and at most 1: the share of the air kerma that passes table and mattress",
            )
        return None

    return check


def _not_negative(column: str) -> RowCheck:
    def check(row: Row) -> tuple[str, str] | None:
        value = row[column]
        return (column, "must not be negative") if isinstance(value, Decimal) and value < 0 else None

    return check


# --- the table of the reference CSVs (docs/contract/inputs.md#I2 and on) ------------------------------------------

_ROOM, _OPERATOR, _SOURCE = ("rooms", "room_id"), ("operators", "operator_id"), ("sources", "source_id")

TABLES: tuple[Table, ...] = (
    Table(
        "rooms",
        (
            Column("room_id", is_required=True),
            Column("name"),
            Column("specialty", allowed=SPECIALTIES),
            Column("station_name"),
            Column("device_serial"),
            Column("ae_title"),
            Column("physical_location"),
            Column("manufacturer"),
            Column("model"),
            Column("device_timezone", "zone"),
            Column("c_arm_dosimeter"),
            Column("quiet_until", "date"),
            Column("table_attenuation", "decimal"),
        ),
        key=("room_id",),
        checks=(_room_has_a_real_name, _share_of_one("table_attenuation")),
        is_required=True,
    ),
    Table(
        "operators",
        (
            Column("operator_id", is_required=True),
            Column("name", is_private=True),
            Column("specialty", allowed=SPECIALTIES),
            Column("grade", allowed=("consultant", "trainee", "nurse", "technologist", "other")),
            Column("worker_category", allowed=("A", "B", "apprentice")),
            Column("email", "email", is_private=True),
            Column("language", allowed=LANGUAGES),
            Column("works_from", "date"),
            Column("works_to", "date"),
            Column("birth_date", "date", is_private=True),
            Column("pregnancy_began_on", "date", is_private=True),
            Column("pregnancy_declared_on", "date", is_private=True),
            Column("pregnancy_ended_on", "date", is_private=True),
            Column("rp_training_valid_until", "date"),
            Column("wears_lead_glasses", "boolean"),
            Column("wears_thyroid_collar", "boolean"),
        ),
        key=("operator_id",),
        span=("works_from", "works_to"),
        is_required=True,
    ),
    Table(
        "dosimeters",
        (
            Column("dosimeter_serial", is_required=True),
            Column(
                "worn_at",
                is_required=True,
                allowed=(
                    "over_apron_collar",
                    "over_apron_chest",
                    "under_apron_abdomen",
                    "under_apron_chest",
                    "left_hand",
                    "right_hand",
                    "eye",
                    "c_arm",
                ),
            ),
            Column("operator_id", refers_to=_OPERATOR),
            Column("room_id", refers_to=_ROOM),
            Column("valid_from", "date", is_required=True),
            Column("valid_to", "date"),
            Column("quiet_until", "date"),
            Column("source_id", refers_to=_SOURCE, is_list=True),
        ),
        span=("valid_from", "valid_to"),
        checks=(_badge_has_one_wearer,),
        is_required=True,
    ),
    Table(
        "procedure_types",
        (
            Column("priority", "integer", is_required=True),
            Column(
                "field",
                is_required=True,
                allowed=("procedure_code", "study_description", "requested_procedure", "protocol"),
            ),
            Column("match", is_required=True, allowed=("exact", "contains", "word", "regex")),
            Column("pattern", is_required=True),
            Column("procedure_type", is_required=True),
            Column("specialty", allowed=SPECIALTIES),
        ),
        key=("priority", "field", "match", "pattern"),
        checks=(_pattern_is_readable,),
    ),
    Table(
        "logbook",
        (
            Column("study_instance_uid"),
            Column("accession_number"),
            Column("operator_id", is_required=True, refers_to=_OPERATOR),
            Column(
                "role",
                allowed=("first_operator", "second_operator", "supervisor", "nurse", "technologist", "other"),
            ),
            Column("procedure_date", "date"),
            Column("room_id", refers_to=_ROOM),
            Column("procedure_name"),
        ),
        key=("study_instance_uid", "accession_number", "operator_id"),
        checks=(_logbook_names_a_study,),
    ),
    Table(
        "drl",
        (
            Column("jurisdiction"),
            Column("procedure_type", is_required=True),
            Column("quantity", is_required=True, allowed=tuple(_DRL_MEASURES)),
            Column("value", "decimal", is_required=True),
            Column("unit", is_required=True),
            Column("year", "integer"),
            Column("citation"),
            Column("scope", allowed=("site", "national", "european")),
        ),
        key=("jurisdiction", "procedure_type", "quantity", "year", "scope"),
        checks=(_level_has_a_unit, _above_zero("value")),
        derived=((Column("canonical_value", "decimal"), _level_in_canonical_unit),),
    ),
    Table(
        "kap_calibration",
        (
            Column("room_id", is_required=True, refers_to=_ROOM),
            Column("plane", is_required=True, allowed=("single", "A", "B")),
            Column("factor", "decimal", is_required=True),
            Column("valid_from", "date", is_required=True),
            Column("valid_to", "date"),
            Column("certificate"),
        ),
        one_at_a_time=("room_id", "plane"),
        span=("valid_from", "valid_to"),
        checks=(_above_zero("factor"),),
    ),
    Table(
        "clock_offsets",
        (
            Column("room_id", refers_to=_ROOM),
            Column("source_id", refers_to=_SOURCE),
            Column("offset_s", "decimal", is_required=True),
            Column("valid_from", "date", is_required=True),
            Column("valid_to", "date"),
            Column("note"),
        ),
        one_at_a_time=("room_id", "source_id"),
        span=("valid_from", "valid_to"),
        checks=(_offset_has_one_subject,),
    ),
    Table(
        "limits",
        (
            Column("jurisdiction", is_required=True, allowed=get_args(Jurisdiction)),
            Column("quantity", is_required=True, allowed=LIMIT_QUANTITIES),
            Column("dose_window", is_required=True, allowed=LIMIT_WINDOWS),
            Column("category", is_required=True, allowed=("adult", "apprentice", "category_b", "pregnant")),
            Column("limit_msv", "decimal", is_required=True),
            Column("valid_from", "date", is_required=True),
            Column("valid_to", "date"),
            Column("citation", is_required=True),
            Column("confirmed_by"),
            Column("confirmed_on", "date"),
        ),
        one_at_a_time=("jurisdiction", "quantity", "dose_window", "category"),
        span=("valid_from", "valid_to"),
        checks=(_above_zero("limit_msv"), _confirmation_is_whole, _pregnancy_has_its_window),
    ),
    Table(
        "external_dose",
        (
            Column("operator_id", is_required=True, refers_to=_OPERATOR),
            Column("period_begin", "date", is_required=True),
            Column("period_end", "date", is_required=True),
            Column("quantity", is_required=True, allowed=("effective", "lens", "extremity")),
            Column("dose_msv", "decimal", is_required=True),
            Column("employer"),
        ),
        key=("operator_id", "period_begin", "period_end", "quantity", "employer"),
        span=("period_begin", "period_end"),
        checks=(_not_negative("dose_msv"),),
    ),
    Table(
        "training",
        (
            Column("operator_id", is_required=True, refers_to=_OPERATOR),
            Column("course", is_required=True),
            Column("provider"),
            Column("hours", "decimal"),
            Column("completed_on", "date", is_required=True),
            Column("valid_until", "date"),
            Column("certificate", is_private=True),
        ),
        key=("operator_id", "course", "completed_on"),
        span=("completed_on", "valid_until"),
        checks=(_above_zero("hours"),),
    ),
    Table(
        "corrections",
        (
            Column("dosimeter_serial", is_required=True),
            Column("from", "instant", is_required=True, stored_as="from_at"),
            Column("to", "instant", is_required=True, stored_as="to_at"),
            Column("kind", is_required=True, allowed=("not_occupational", "worn_by")),
            Column("operator_id", refers_to=_OPERATOR),
            Column("by"),
            Column("reason"),
        ),
        one_at_a_time=("dosimeter_serial",),
        span=("from", "to"),
        checks=(_other_wearer_is_named,),
    ),
    Table(
        "withdrawn_files",
        (
            Column("sha256", is_required=True),
            Column("by", is_required=True, stored_as="withdrawn_by"),
            Column("on", "date", is_required=True, stored_as="withdrawn_on"),
            Column("reason", is_required=True),
        ),
        key=("sha256",),
        checks=(_hash_is_whole,),
    ),
    Table(
        "links",
        (
            Column("procedure_id"),
            Column("accession_number"),
            Column("dosimeter_serial", is_required=True),
            Column("from", "instant", is_required=True, stored_as="from_at"),
            Column("to", "instant", is_required=True, stored_as="to_at"),
            Column("by"),
            Column("reason"),
        ),
        one_at_a_time=("dosimeter_serial",),
        span=("from", "to"),
        checks=(_link_has_one_procedure,),
    ),
    Table(
        "patient_followup",
        (
            Column("procedure_id"),
            Column("accession_number"),
            Column("informed_on", "date"),
            Column("seen_on", "date"),
            Column("skin_grade", "integer"),
            Column("by", stored_as="reported_by"),
            Column("comment"),
        ),
        checks=(_link_has_one_procedure, _grade_of_a_look),
    ),
    Table(
        "alert_log",
        (
            Column("alert_id", is_required=True),
            Column("action", is_required=True, allowed=("acknowledged", "explained", "closed", "false_alarm")),
            Column("by"),
            Column("on", "date"),
            Column("comment"),
        ),
        checks=(_finding_can_be_named,),
    ),
    Table(
        "page_logins",
        (
            Column("login", is_required=True, is_private=True),
            Column("operator_id", refers_to=_OPERATOR),
            Column("role", allowed=PAGE_ROLES),
        ),
        key=("login",),
        checks=(_login_has_one_reader,),
    ),
    Table(
        "advice",  # the site's own words; not in the contract's list, as optional as the rest
        (
            Column("advice_code", is_required=True),
            Column("language", is_required=True, allowed=LANGUAGES),
            Column("sentence", is_required=True),
        ),
        key=("advice_code", "language"),
    ),
)
TABLES_BY_NAME = {table.name: table for table in TABLES}
PRIVATE_COLUMNS = frozenset(column.name for table in TABLES for column in table.columns if column.is_private)

# --- the raw tables ------------------------------------------------------------------------------------------------

_SQL_TYPES: dict[CellType, str] = {
    "text": "varchar",
    "date": "date",
    "instant": "timestamptz",
    "boolean": "boolean",
    "decimal": "decimal(18, 9)",
    "integer": "integer",
    "zone": "varchar",
    "email": "varchar",
}


def reference_ddl() -> str:
    """SQL that makes every ``raw.ref_*`` table that is not there yet (empty for CSVs that the site does not have)."""
    return "\n".join(_table_ddl(table) for table in TABLES)


def _table_ddl(table: Table) -> str:
    columns = ", ".join(f'"{column.raw_name}" {_SQL_TYPES[column.type]}' for column in table.raw_columns)
    return f"create table if not exists raw.ref_{table.name} ({columns}, line bigint not null, extra json);"
