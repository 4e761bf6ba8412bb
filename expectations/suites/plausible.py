"""The plausible suite: can it be true?"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from expectations.suites.check import Check, Severity, Values, extremes_of, rows_where

UNITS = "a wrong unit or a broken report makes every indicator, quartile and alert of the room wrong"
SEE_REPORT = (
    "Compare with the modality's own report; if the device states wrong values, tell its service and correct KAP by"
    " reference/kap_calibration.csv."
)
SEE_BADGE = (
    "Inspect the badge's export rows; dose that no person received belongs into reference/corrections.csv"
    " (not_occupational)."
)


@dataclass(frozen=True)
class Settings:
    """What a site may set about its gate.

    Attributes:
        max_quarantined_files_share: largest share (0..1) of the files of the last 30 days that may be quarantined.
    """

    max_quarantined_files_share: Decimal = Decimal("0.05")


def plausible(settings: Settings) -> list[Check]:
    """Few files in quarantine, and quantities that a patient, a badge or a tube can have."""
    return [*_few_files_are_quarantined(settings), _field_area_kept_its_size(), *_values_are_possible()]


# Of fewer files a single refused one is more than its share, and a small site could never publish.
FILES_TO_BLOCK = 20
RECENT_FILES = "from ledger.file semi join raw.recent_file using (load_seq) where status <> 'ignored'"


def _few_files_are_quarantined(settings: Settings) -> list[Check]:
    share = settings.max_quarantined_files_share
    by_severity: dict[Severity, tuple[str, str]] = {
        "block": (f"of {FILES_TO_BLOCK} or more files", f">= {FILES_TO_BLOCK}"),
        "warn": (f"of fewer than {FILES_TO_BLOCK} files", f"< {FILES_TO_BLOCK}"),
    }
    return [
        Check(
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
            family=f"{of_files} few are quarantined",
            unexpected_rows=(
                f"select count(*) filter (status = 'quarantined') as quarantined, count(*) as files {RECENT_FILES}"
                f" having count(*) {bound} and count(*) filter (status = 'quarantined') > {share:f} * count(*)"
            ),
            values=Values(
                "select share, share from"
                f" (select count(*) filter (status = 'quarantined') / nullif(count(*), 0) as share {RECENT_FILES})",
                low=None,
                high=float(share),
                unit="of the files",
            ),
        )
        for severity, (of_files, bound) in by_severity.items()
    ]


FIELD_AREA_CM2 = "case when ka_r_mgy > 0 and kap_gy_cm2 > 0 then kap_gy_cm2 / (ka_r_mgy / 1000) end"


def _field_area_kept_its_size() -> Check:
    """A factor of ten hides inside the range of all rooms, not inside a room's own; √10 is half of it in logarithms."""
    return Check(
        suite="plausible",
        severity="warn",
        table="marts.fct_procedure",
        column="room_id",
        rule="the mean field area (KAP / Ka,r) of a room's last 20 procedures is the one it had before, within √10",
        risk=UNITS,
        advice=SEE_REPORT,
        source="a unit changed by a factor of ten; medians over the rule of 20 (ICRP 135)",
        unexpected_rows=f"""
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
    """The values that a quantity can have in reality.

    Attributes:
        low: None if only values that are too high are odd.
        expression: SQL of the column where the table has none of this name.
    """

    table: str
    column: str
    low: float | None
    high: float
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


def _values_are_possible() -> list[Check]:
    return [
        Check(
            suite="plausible",
            severity=limit.severity,
            table=limit.table,
            column=limit.column,
            rule=_range_sentence(limit),
            family="the value is one that the quantity can have",
            risk=UNITS,
            advice=limit.advice,
            source=limit.source,
            unexpected_rows=rows_where(_outside(limit), limit.table, limit.column, limit.expression),
            values=Values(extremes_of(limit.table, limit.column, limit.expression), limit.low, limit.high, limit.unit),
        )
        for limit in POSSIBLE
    ]


def _range_sentence(limit: Range) -> str:
    if limit.low is None:
        return f"is at most {limit.high:g} {limit.unit}".rstrip()
    return f"is {limit.low:g} to {limit.high:g} {limit.unit}".rstrip()


def _outside(limit: Range) -> str:
    """NaN is greater than every bound in DuckDB, so it is outside."""
    above = f'"{limit.column}" > {limit.high}'
    return above if limit.low is None else f'"{limit.column}" < {limit.low} or {above}'
