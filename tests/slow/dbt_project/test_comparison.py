"""Comparison within the class on made-up rows that no demo has: years, children, nurses, classes without shields.

The rows are put in the place of int_operator_procedure and int_procedure of an empty warehouse; dbt makes the rest. It
is compared with a recomputation, and with what must come out by design: bad protection is found, chance is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support import paths
from support.recomputed_comparison import comparison_differences

from ingest.raw.build_db import raw_ddl
from orchestration.publication.build_record import set_run

FILLED = ("int_operator_procedure", "int_procedure", "int_c_arm_dose")
CLASSES = {
    "pci": (60.0, 0.04),
    "ablation": (40.0, 0.03),
    "av_fistula": (20.0, 0.16),
    "stent": (80.0, 0.4),
}  # KAP, share
GROUPS = {"first_operator": 1.0, "assisting": 0.4, "nurse": 0.1}  # dose against the first operator's
GROUP_OF = {f"OP{n:02d}": "first_operator" for n in range(8)} | {f"AS{n}": "assisting" for n in range(4)}
GROUP_OF |= {f"NU{n}": "nurse" for n in range(3)}


@dataclass(frozen=True)
class Warehouse:
    """An empty warehouse with every table of the project, to be filled with made-up rows."""

    database: Path
    folder: Path

    def build(self, rows: pa.Table, as_of: date) -> None:
        """Put rows in the place of the procedures and of their operators, and build what rests on them."""
        with duckdb.connect(self.database) as con:
            con.execute("set TimeZone = 'UTC'")
            set_run(con, as_of, may_become_current=True)
            con.register("rows", rows)
            for table in FILLED:
                columns = {row[0] for row in con.execute(f"describe intermediate.{table}").fetchall()}
                shared = ", ".join(f'"{name}"' for name in rows.column_names if name in columns)
                one = "*" if table == "int_operator_procedure" else "distinct on (procedure_id) *"
                con.execute(f"truncate intermediate.{table}")
                con.execute(f"insert into intermediate.{table} by name select {shared} from (select {one} from rows)")
        dbt(self, "run", "--select", "int_operator_procedure+", "fct_procedure", "--exclude", *FILLED)

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with duckdb.connect(self.database, read_only=True) as con:
            return con.execute(query).fetchall()


def dbt(warehouse: Warehouse, *arguments: str) -> None:
    """Run dbt in this process."""
    from dbt.cli.main import dbtRunner

    project = ("--project-dir", str(paths.DBT_PROJECT), "--profiles-dir", str(paths.DBT_PROJECT))
    output = ("--target-path", str(warehouse.folder / "target"), "--log-path", str(warehouse.folder))
    quiet = ("--no-send-anonymous-usage-stats", "--no-version-check", "--no-use-colors", "--log-level", "none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_BUILD_DB", str(warehouse.database))
        outcome = dbtRunner().invoke([*quiet, *arguments, *project, *output])
    results: Any = outcome.result
    failed = [(result.node.name, result.message) for result in results or () if str(result.status) == "error"]
    assert outcome.success, (outcome.exception, failed)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("comparison")
    empty = Warehouse(folder / "doseledger.duckdb", folder)
    with duckdb.connect(empty.database) as con:
        con.execute(raw_ddl())
        set_run(con, date(2024, 1, 1), may_become_current=True)
    dbt(empty, "build", "--resource-type", "seed", "model")
    yield empty


def rows_of(procedures: int, days: int, seed: int, habit: Callable[[str, int], float]) -> pa.Table:
    """Operators in procedures over some days until the end of 2024.

    Args:
        procedures: how many.
        days: over how many days, the last is 31 December 2024.
        seed: of the random numbers.
        habit: what an operator's share of the C-arm's dose is multiplied by, on the n-th day.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    people = {group: [name for name, of in GROUP_OF.items() if of == group] for group in GROUPS}
    for number, day in enumerate(np.sort(rng.integers(days, size=procedures)).tolist()):
        name = str(rng.choice([*CLASSES, "unclassified"], p=[0.4, 0.25, 0.2, 0.1, 0.05]))
        usual_kap, usual_share = CLASSES.get(name, (20.0, 0.05))
        kap = usual_kap * rng.lognormal(0, 0.6)
        c_arm = 10 * kap * rng.lognormal(0, 0.3)
        procedure = {
            "procedure_id": f"P{number:06d}",
            "site_id": "hcx",
            "study_name": f"1.{number}",
            "room_id": f"R{number % 3}",
            "procedure_type": name,
            "procedure_date": date(2024, 12, 31) - timedelta(days=days - 1 - day),
            "patient_age_years": [None, 9, 17, 18, 60][int(rng.choice(5, p=[0.1, 0.04, 0.04, 0.02, 0.8]))],
            "patient_key": f"K{number % 700}",
            "kap_gy_cm2": None if rng.random() < 0.02 else round(kap, 6),
            "c_arm_dose_usv": None if rng.random() < 0.05 else round(c_arm, 9),
            "irradiation_events": 1,
            "is_kap_calibrated": False,
            "ka_r_mgy": round(10 * kap, 6),
            "fluoro_time_s": None if rng.random() < 0.1 else 600.0,
        }
        # Two an hour, so that some start together.
        procedure["started_at"] = f"{procedure['procedure_date']} {8 + number % 8:02d}:00:00+00"
        procedure["is_child"] = procedure["patient_age_years"] in (9, 17)
        for group, factor in GROUPS.items():
            for operator in rng.choice(
                people[group], size=1 + (group == "nurse" and rng.random() < 0.2), replace=False
            ):
                share = usual_share * factor * habit(str(operator), day) * rng.lognormal(0, 0.7)
                dose = float(rng.choice([0.0, round(share * c_arm, 9)], p=[0.03, 0.97]))
                rows.append(
                    procedure
                    | {
                        "operator_id": str(operator),
                        "role": {"assisting": "second_operator"}.get(group, group),
                        "role_group": group,
                        "badge_status": "measured" if dose else "zero",
                        "link_method": "event",
                        "link_confidence": "high",
                        "hp10_usv": None if rng.random() < 0.02 else dose,
                    }
                )
    return pa.Table.from_pylist(rows)


def usual(_operator: str, _day: int) -> float:
    return 1.0


def test_every_comparison_is_what_a_recomputation_finds(warehouse: Warehouse) -> None:
    def habit(operator: str, day: int) -> float:
        return 2.5 if operator in ("OP01", "AS1", "NU1") and day > 400 else 1.0

    warehouse.build(rows_of(4000, 800, 1, habit), date(2024, 12, 31))
    with duckdb.connect(warehouse.database, read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        assert comparison_differences(con, date(2024, 12, 31)) == {}
    # What the recomputation agrees on is really there.
    decided = dict(
        warehouse.read("select decided_by, count(*) from alerts.alert where rule = 'dose_to_c_arm' group by 1")
    )
    assert min(decided[word] for word in ("floor", "third_quartile", "cap")) >= 10
    groups = dict(
        warehouse.read("select role_group, count(*) from alerts.alert where rule = 'procedure_dose' group by 1")
    )
    assert min(groups[group] for group in GROUPS) >= 10
    causes = dict(warehouse.read("select main_cause, count(*) from marts.fct_dose_explanation group by 1"))
    assert min(causes[cause] for cause in ("none", "mixed", "radiation", "geometry", "protection")) >= 1
    persistent = {operator for (operator,) in warehouse.read("select operator_id from alerts.persistent")}
    assert persistent >= {"OP01"}
    for table in ("fct_room_month", "fct_class_quarter"):
        assert warehouse.read(f"select count(change_vs_last_year) from marts.{table}")[0][0] >= 20
    unprotected = warehouse.read(
        "select operator_id from marts.fct_operator_protection"
        " where above_usual_usv > 0 and period = 'rolling_12_months' order by protection_ratio desc"
    )
    assert unprotected[0] == ("OP01",)
    unshielded = warehouse.read("select distinct procedure_type from marts.fct_class_quarter where is_above_limit")
    assert {name for (name,) in unshielded} == {"av_fistula", "stent"}


def test_chance_alone_is_hardly_ever_persistent(warehouse: Warehouse) -> None:
    """Operators who are all alike, each with some 200 procedures a year: about one false alarm in thirty years."""
    years = 10
    warehouse.build(rows_of(1000 * years, 365 * years, 2, usual), date(2024, 12, 31))
    ((firings,),) = warehouse.read("select count(*) from alerts.persistent")
    ((share,),) = warehouse.read(
        "select count(*) filter (where has_finding) / count(*) from intermediate.int_judged_finding"
        " where role_group = 'first_operator'"
    )
    assert share > 0.2
    assert firings / (len(GROUP_OF) * years) <= 0.06
