"""Names of the nightly line's steps: assets.py defines steps of these names, messages and letters use them."""

RAW = "raw"  # prefix of the steps that read the site's files
DOSIMETER_EXPORTS = f"{RAW}__dosimeter_exports"
DBT_MODELS = "dbt_models"
EXPECTATIONS = "expectations"  # judges each check on its table
JUDGED = "all_checks_are_evaluated"  # the check that lets the gate wait for them, and its table
JUDGED_TABLE = ("ledger", "dose_balance")
GATE = "gate"
PUBLICATION = "publication"
LETTERS = "letters"
CHARTS = "charts"

# The steps that follow the publication: where only these failed, the publication is there.
AFTER_PUBLICATION = frozenset({LETTERS, CHARTS})
