"""What is taken from dagster-dbt, imported as where dbt-core is not installed: it then needs nothing of it.

Only this import lives here. dbt has a process of its own (dbt_process.py); here it would cost two seconds a night.
"""

import sys

_has_dbt = "dbt" in sys.modules
if not _has_dbt:
    sys.modules["dbt"] = None  # type: ignore[assignment]  # an import of it fails
try:
    from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets
    from dagster_dbt.asset_utils import get_subset_selection_for_context
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
finally:
    if not _has_dbt:
        del sys.modules["dbt"]

__all__ = [
    "DagsterDbtTranslator",
    "DagsterDbtTranslatorSettings",
    "DbtCoreCliEventMessage",
    "DbtProject",
    "dbt_assets",
    "get_subset_selection_for_context",
]
