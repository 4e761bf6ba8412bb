"""What the dbt project promises as text: grain, described columns, sourced thresholds, layers, no clock of its own.

Reads the YAML and SQL files. What the models compute is tested by dbt's unit tests (tests/slow/dbt_project).
"""

from __future__ import annotations

import csv
import re
from functools import cache
from typing import Any

import pytest
import yaml
from support import paths

from expectations.contract import TABLES

PROJECT = paths.DBT_PROJECT
MODELS = {path.stem: path for path in sorted(PROJECT.glob("models/**/*.*")) if path.suffix in (".sql", ".py")}
SEEDS = {path.stem: path for path in sorted(PROJECT.glob("seeds/*.csv"))}
PROPERTIES = sorted(PROJECT.glob("[ms]*/**/_*.yml"))
LAYERS = {  # folder: the folders that its models may read from; only staging reads sources
    "staging": set(),
    "intermediate": {"staging", "intermediate"},
    "marts": {"staging", "intermediate", "marts"},
    "ledger": {"staging", "intermediate", "ledger"},
    "alerts": {"staging", "intermediate", "marts", "alerts"},
    "department": {"marts"},  # nothing that medical physics may not see
}
PUBLISHED = ("marts", "ledger", "alerts")
REF = re.compile(r"""\bref\(["'](\w+)["']\)""")
# The fingerprint model of an incremental one: {{ config(**incremental_by_date(date, model)) }}.
FINGERPRINTS = re.compile(r"config\(\*\*\w+\('\w+', '(\w+)'\)\)")
# The clock that a model must not read: as_of is an argument.
CLOCK = re.compile(
    r"\b(current_(date|time|timestamp)|(now|today|get_current_timestamp|localtimestamp)\s*\()", re.IGNORECASE
)
# What dbt, or dbt-duckdb, means by these words holds here, too.
BUILT_IN = {
    *("table", "view", "incremental", "ephemeral", "materialized_view", "seed", "snapshot", "test", "unit", "clone"),
    *("external", "table_function", "function"),
}
SOURCE = re.compile(r"\bsource\('(\w+', '\w+)'\)")
NUMBER_COMPARED = re.compile(r"([<>]=?|\bbetween)\s*-?\d")


def _entries(kind: str) -> list[dict[str, Any]]:
    return [entry for content in CONTENTS for entry in content.get(kind, [])]


def _folder(model: str) -> str:
    return MODELS[model].relative_to(PROJECT / "models").parts[0]


def _code(model: str) -> str:
    """The SQL of a model without its comments."""
    return re.sub(r"--[^\n]*|\{#.*?#\}", "", MODELS[model].read_text("utf-8"), flags=re.DOTALL)


def _meta(entry: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = entry.get("config", {}).get("meta", {})
    return meta


@cache
def _ancestors(model: str) -> frozenset[str]:
    """All that a model is made from, directly or not."""
    parents = frozenset(
        name for name in (*REF.findall(CODE[model]), *FINGERPRINTS.findall(CODE[model])) if name in MODELS
    )
    return parents.union(*map(_ancestors, parents))


CONTENTS = [yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) for path in PROPERTIES]
DESCRIBED = {entry["name"]: entry for entry in _entries("models")}
KEYS = {name: key for name, entry in DESCRIBED.items() if (key := _meta(entry).get("key"))}
CODE = {name: _code(name) for name in MODELS}
# Findings of one rule each are a step on the way to alerts.alert and are not published.
AGGREGATES = {name for name in MODELS if _folder(name) == "department"}
CONTRACTED = {name for name in MODELS if _folder(name) in PUBLISHED and MODELS[name].parent.name != "findings"}
with SEEDS["alert_rules"].open(encoding="utf-8", newline="") as _file:
    THRESHOLDS = list(csv.DictReader(_file))


# --- documentation -------------------------------------------------------------------------------------------------


def test_every_model_and_seed_is_described_once_and_nothing_else_is() -> None:
    assert sorted(entry["name"] for entry in _entries("models")) == sorted(MODELS)
    assert sorted(entry["name"] for entry in _entries("seeds")) == sorted(SEEDS)


def test_a_description_begins_with_the_grain() -> None:
    entries = _entries("models") + _entries("seeds")
    assert [entry["name"] for entry in entries if not entry["description"].startswith("One row per ")] == []


def test_every_column_is_described_and_the_published_ones_have_a_type() -> None:
    columns = [
        (entry["name"], column) for entry in (*DESCRIBED.values(), *_entries("seeds")) for column in entry["columns"]
    ]
    assert [(name, column["name"]) for name, column in columns if not column.get("description")] == []
    untyped = [
        (name, column["name"])
        for name, column in columns
        if name in CONTRACTED | AGGREGATES and not column.get("data_type")
    ]
    assert untyped == []


def test_the_dictionary_of_columns_has_every_word_that_is_looked_up_and_no_other() -> None:
    words = re.findall(r"{% docs (\w+) %}", (PROJECT / "models" / "columns.md").read_text("utf-8"))
    looked_up = {word for path in PROPERTIES for word in re.findall(r"doc\('(\w+)'\)", path.read_text("utf-8"))}
    assert len(words) == len(set(words))
    assert set(words) == looked_up


def test_every_model_declares_its_key() -> None:
    # A staging model's key is its raw table's; the views alerts.<rule> have that of alerts.alert.
    keyless = {table.split(".")[1] for table, described in TABLES.items() if not described.key}
    free = {name for name in MODELS if _folder(name) == "staging" or MODELS[name].parent.name == "rules"} | keyless
    assert sorted(DESCRIBED.keys() - free - KEYS.keys()) == []
    columns = {name: {column["name"] for column in DESCRIBED[name]["columns"]} for name in KEYS}
    assert {name: key for name, key in KEYS.items() if not set(key) <= columns[name]} == {}


def test_a_published_key_is_the_contracts() -> None:
    published = {name.split(".")[1]: table for name, table in TABLES.items() if table.key}
    shared = published.keys() & KEYS.keys()
    assert len(shared) >= 20
    wider = {
        name: KEYS[name]
        for name in shared
        if not set(KEYS[name]) <= {*published[name].key, *published[name].optional_key}
    }
    assert wider == {}


def test_the_test_of_keys_runs_after_every_model_that_declares_one() -> None:
    last = REF.findall((PROJECT / "tests" / "every_key_names_one_row.sql").read_text("utf-8"))
    before = set(last).union(*map(_ancestors, last))
    assert sorted(KEYS.keys() - before) == []
    assert [name for name in last if any(name in _ancestors(other) for other in last)] == []


def test_a_key_that_another_model_proves_is_of_a_model_that_it_reads() -> None:
    proved = {name: with_ for name, entry in DESCRIBED.items() if (with_ := _meta(entry).get("key_tested_with"))}
    assert {name for name, with_ in proved.items() if name not in _ancestors(with_)} == set()


def test_a_unit_test_says_which_rule_it_guards() -> None:
    unit_tests = _entries("unit_tests")
    assert [test["name"] for test in unit_tests if not test.get("description")] == []
    assert {test["model"] for test in unit_tests} <= set(MODELS)
    assert len({test["name"] for test in unit_tests}) == len(unit_tests)


def test_bi_tools_are_promised_the_published_tables() -> None:
    reads = {entry["name"]: set(REF.findall(" ".join(entry["depends_on"]))) for entry in _entries("exposures")}
    assert reads["published_warehouse"] == CONTRACTED
    assert reads["department_copy"] == AGGREGATES
    assert reads["letters"] <= CONTRACTED


# --- thresholds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", THRESHOLDS, ids=lambda row: f"{row['rule']}.{row['name']}")
def test_a_threshold_has_a_value_a_unit_and_a_source(row: dict[str, str]) -> None:
    assert float(row["value"]) >= 0
    assert all(row[column].strip() for column in ("unit", "source", "rule_version"))


@pytest.mark.parametrize("rule", sorted({row["rule"] for row in THRESHOLDS}))
def test_a_rule_has_a_step_that_makes_findings(rule: str) -> None:
    steps = [row for row in THRESHOLDS if row["rule"] == rule and row["step"]]
    assert steps
    assert {row["severity"] for row in steps} <= {"notice", "review", "urgent"}
    assert {row["audience"] for row in steps} <= {"operator", "medical_physics", "restricted"}


def test_an_alert_compares_with_the_seed_and_not_with_a_number() -> None:
    assert [
        name for name, code in CODE.items() if name.startswith(("alert", "finding_")) and NUMBER_COMPARED.search(code)
    ] == []
    assert NUMBER_COMPARED.search("where hp10_usv > 100")


# --- models --------------------------------------------------------------------------------------------------------


def test_a_model_ends_with_a_plain_select() -> None:
    queries = {name: path for name, path in MODELS.items() if path.suffix == ".sql"}
    last = {name: path.read_text("utf-8").rstrip().splitlines()[-1] for name, path in queries.items()}
    plain = re.compile(r"select \* from \w+|\{\{ alert_view\('\w+'\) \}\}")
    assert {name: line for name, line in last.items() if not plain.fullmatch(line)} == {}


def test_no_model_reads_the_clock() -> None:
    assert [name for name, code in CODE.items() if CLOCK.search(code)] == []
    assert CLOCK.search("where day < current_date")
    assert CLOCK.search("select NOW() as at")


def test_only_staging_reads_sources() -> None:
    assert {_folder(name) for name, code in CODE.items() if "source(" in code} == {"staging"}
    assert [name for name, code in CODE.items() if _folder(name) == "staging" and "source(" not in code] == []


def test_layers_look_only_downwards() -> None:
    reads = {name: {_folder(read) for read in REF.findall(code) if read in MODELS} for name, code in CODE.items()}
    assert {name: up for name in reads if (up := reads[name] - LAYERS[_folder(name)])} == {}


def test_built_in_materializations_keep_their_meaning() -> None:
    own = {
        name
        for path in PROJECT.rglob("*.sql")
        for name in re.findall(r"{%-?\s*materialization\s+(\w+)", path.read_text("utf-8"))
    }
    assert own == {"incremental_by_date"}
    assert not own & BUILT_IN


def test_a_unit_test_overrides_only_variables_that_there_are() -> None:
    """It would be ignored. The as-of date is a macro: overrides: {macros: {as_of: "date '2024-03-31'"}}."""
    known = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    unknown = {
        test["name"]: sorted(set(test.get("overrides", {}).get("vars", {})) - set(known))
        for test in _entries("unit_tests")
    }
    assert {name: found for name, found in unknown.items() if found} == {}


def test_a_fingerprint_knows_every_leaf_of_its_incremental_model() -> None:
    """Else a change there would leave the dates that are made of it as they are."""
    kept = {name: found[0] for name, code in CODE.items() if (found := FINGERPRINTS.findall(code))}
    assert {"int_sample_link", "int_dose_evidence", "int_event", "dose_balance"} <= kept.keys()
    unknown = {name: sorted(set().union(*map(_leaves, _reads(name) - {by})) - _leaves(by)) for name, by in kept.items()}
    assert {name: leaves for name, leaves in unknown.items() if leaves} == {}


def test_a_leaf_is_found_through_views_and_tables() -> None:
    assert {"dose_record", "ref_dosimeters"} <= {leaf.rpartition("'")[2] for leaf in _leaves("int_dose_evidence")}
    assert _leaves("alert_rules") == {"alert_rules"}


def _reads(model: str) -> set[str]:
    return set(REF.findall(CODE[model]))


def _leaves(node: str) -> frozenset[str]:
    """The seeds and the tables of raw that a model is made from; of a seed the seed itself."""
    if node not in MODELS:
        return frozenset({node})
    made_of = {node} | _ancestors(node)
    seeds = {read for name in made_of for read in _reads(name) if read not in MODELS}
    return frozenset(seeds).union(*(SOURCE.findall(CODE[name]) for name in made_of))
