"""The published tables as the output contract lists them: columns, key and legal words of each.

Names only. Legal values are in suites/; tables are computed by dbt.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """One table of the contract.

    Attributes:
        columns: the columns that every publication has (there may be more).
        key: the columns that together name one row, never NULL; empty where the contract gives no key.
        optional_key: further key columns that may be NULL (a NULL counts as one value).
        restricted: SQL predicate of the rows that only the restricted audience may know of; never NULL.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    optional_key: tuple[str, ...] = ()
    restricted: str = "false"


def _table(columns: str, key: str = "", optional_key: str = "", restricted: str = "false") -> Table:
    return Table(tuple(columns.split()), tuple(key.split()), tuple(optional_key.split()), restricted)


# Source: the output contract (v1). Tables that the publication itself writes: own_tables.py.
TABLES: dict[str, Table] = {
    "marts.fct_procedure": _table(
        "procedure_id site_id room_id study_instance_uid accession_number patient_key patient_age_years patient_sex"
        " procedure_type procedure_description specialty started_at ended_at procedure_date irradiation_events"
        " kap_gy_cm2 kap_source kap_event_sum_gy_cm2 kap_fluoro_gy_cm2 kap_acquisition_gy_cm2 is_kap_calibrated"
        " ka_r_mgy ka_r_plane_a_mgy ka_r_plane_b_mgy fluoro_time_s radiographic_frames kap_reported_gy_cm2"
        " kap_reported_fluoro_gy_cm2 kap_reported_acquisition_gy_cm2 c_arm_dose_usv clock_offset_s clock_confidence",
        "procedure_id",
    ),
    "marts.fct_irradiation_event": _table(
        "irradiation_event_uid study_key procedure_id plane event_type started_at duration_s duration_source kap_gy_cm2"
        " ka_r_mgy kvp primary_angle_deg secondary_angle_deg acquisition_protocol",
        "irradiation_event_uid",
    ),
    "marts.fct_operator_procedure": _table(
        "procedure_id operator_id role role_group worn_at dosimeter_serial hp10_usv hp10_apportioned_usv"
        " other_over_apron_usv peak_rate_usv_per_h hp10_per_kap_usv_per_gy_cm2 hp10_per_fluoro_min_usv"
        " hp10_to_c_arm_percent hp3_estimate_usv link_method link_confidence badge_status",
        "procedure_id operator_id",
    ),
    "marts.fct_staff_dose": _table(
        "procedure_id operator_id role_group badge_status hp10_usv hp10_apportioned_usv procedure_date room_id"
        " procedure_type kap_gy_cm2 c_arm_dose_usv",
        "procedure_id operator_id",
    ),
    "marts.fct_operator_event": _table(
        "irradiation_event_uid procedure_id operator_id hp10_usv", "irradiation_event_uid operator_id"
    ),
    "marts.fct_operator_month": _table(
        "operator_id month procedures procedures_with_badge hp10_over_apron_usv hp10_linked_usv hp10_under_apron_usv"
        " hp007_hand_usv effective_dose_estimate_usv effective_dose_method hp3_estimate_usv badge_hp10_over_apron_usv"
        " badge_hp10_under_apron_usv dose_source n_below_detection epd_to_badge_ratio kap_gy_cm2"
        " hp10_over_apron_warning_usv effective_dose_low_usv effective_dose_high_usv",
        "operator_id month",
    ),
    "marts.fct_operator_limit": _table(
        "operator_id quantity dose_window limit_rule window_begin window_end dose_msv limit_msv fraction_of_limit"
        " warning_fraction projected_fraction is_estimate dose_source covered_days covered_to_date is_begin_unknown"
        " limit_citation limit_status valid_from valid_to warning_dose_msv dose_low_msv dose_high_msv",
        "operator_id quantity dose_window limit_rule",
        restricted="dose_window is not distinct from 'pregnancy'",
    ),
    "marts.fct_study_dose": _table(
        "study_key study_instance_uid modality room_id patient_key patient_age_years study_date irradiation_events"
        " kap_gy_cm2 ka_r_mgy dlp_mgy_cm ctdi_vol_mgy ctdi_phantom agd_mgy agd_left_mgy agd_right_mgy"
        " effective_dose_estimate_msv effective_dose_method",
        "study_key",
    ),
    "marts.fct_patient_exposure": _table(
        "patient_key dose_window studies studies_without_estimate effective_dose_estimate_msv peak_msv"
        " is_100_msv_or_more",
        "patient_key dose_window",
    ),
    "marts.fct_reference_level": _table(
        "room_id procedure_type quantity n median q1 q3 drl_value drl_scope drl_citation ratio_to_drl status",
        "procedure_type quantity",
        "room_id",
    ),
    "marts.fct_skin_dose": _table(
        "procedure_id peak_ka_r_mgy primary_angle_deg secondary_angle_deg share_of_ka_r n_events_in_cap"
        " skin_dose_estimate_mgy skin_dose_upper_mgy method missing",
        "procedure_id",
    ),
    "marts.fct_skin_followup": _table(
        "procedure_id patient_key procedure_date need ka_r_mgy informed_on seen_on second_seen_on skin_grade due_on"
        " state",
        "procedure_id",
    ),
    "marts.fct_training_status": _table(
        "operator_id specialty grade is_at_work n_trainings course completed_on valid_until validity_source"
        " validity_citation validity_status days_left state",
        "operator_id",
    ),
    "marts.fct_dose_explanation": _table(
        "procedure_id operator_id role_group n_reference usual_hp10_usv hp10_ratio kap_factor scatter_factor"
        " room_scatter_factor protection_factor main_cause excess_hp10_usv",
        "procedure_id operator_id",
    ),
    "marts.fct_operator_protection": _table(
        "operator_id role_group period period_begin period_end n protection_ratio ci_low ci_high hp10_usv"
        " above_usual_usv above_usual_low_usv above_usual_high_usv",
        "operator_id role_group period period_begin",
    ),
    "marts.fct_room_month": _table(
        "room_id role_group month quantity n n_operators n_patients q1 median q3"
        " change_vs_last_year change_low change_high",
        "room_id role_group month quantity",
    ),
    "marts.fct_class_quarter": _table(
        "procedure_type role_group quarter quantity n n_operators n_patients q1 median q3"
        " change_vs_last_year change_low change_high is_above_limit",
        "procedure_type role_group quarter quantity",
    ),
    "marts.fct_rule_outcome": _table(
        "rule audience quarter fired answered false_alarms median_days_to_answer",
        "rule audience quarter",
        restricted="audience not in ('operator', 'medical_physics')",
    ),
    "marts.dim_procedure_page": _table(
        "procedure_id has_recent_finding has_urgent_finding has_skin_followup is_highest_of_operator", "procedure_id"
    ),
    "marts.fct_dose_link": _table(
        "procedure_id irradiation_event_uid dosimeter_serial operator_id link_method started_at ended_at dose_usv"
        " load_seq line",
        "load_seq line procedure_id",
    ),
    "marts.dim_date": _table(
        "calendar_date year quarter month week quarter_name month_name week_name day_of_week is_past", "calendar_date"
    ),
    "marts.dim_room": _table("room_id", "room_id"),
    "marts.dim_operator": _table(
        "operator_id specialty grade worker_category works_from works_to",
        "operator_id",
    ),
    "marts.dim_dosimeter": _table("dosimeter_serial worn_at operator_id room_id valid_from valid_to source_id"),
    "marts.dim_procedure_type": _table("procedure_type"),
    "marts.dim_procedure_class": _table(
        "procedure_class modality body_region specialty complexity name_en name_fr name_es snomed_ct radlex acr_common"
        " code_source is_of_site",
        "procedure_class",
    ),
    "marts.dim_comparison_threshold": _table("name value unit source", "name"),
    "marts.dim_kap_calibration": _table(
        "room_id plane kap_factor valid_from valid_to certificate", "room_id plane valid_from"
    ),
    "marts.dim_device": _table(
        "device_key device_serial manufacturer device_uid model station_name room_id reports first_date last_date",
        "device_key",
    ),
    "marts.bridge_procedure_report": _table("procedure_id load_seq sop_instance_uid path", "procedure_id load_seq"),
    "alerts.alert": _table(
        "alert_id rule severity subject_type operator_id procedure_id patient_key room_id occurred_on quantity value"
        " threshold unit n_reference message rule_version audience state detail limit_rule dose_window role_group"
        " third_quartile floor decided_by main_cause usual procedure_started_at accession_number",
        "alert_id",
        # Also where the audience is what is broken.
        restricted="coalesce(audience not in ('operator', 'medical_physics') or rule = 'pregnancy', true)",
    ),
    "ledger.dose_balance": _table(
        "source_id dosimeter_serial measured_date quantity ingested_usv linked_event_usv linked_window_usv"
        " linked_session_usv linked_vendor_usv linked_manual_usv apportioned_usv unlinked_usv covered_by_samples_usv"
        " imbalance_usv",
        "source_id dosimeter_serial measured_date quantity",
    ),
    "ledger.counter_balance": _table(
        "source_id dosimeter_serial quantity readings first_usv segments segment_rise_usv ingested_usv imbalance_usv",
        "source_id dosimeter_serial quantity",
    ),
    "ledger.linkage": _table(
        "room_id month wearer_kind registered_usv linked_usv apportioned_usv unlinked_usv",
        "room_id month wearer_kind",
    ),
    "ledger.unlinked_dose": _table(
        "source_id dosimeter_serial operator_id started_at ended_at hp10_usv reason candidates"
    ),
    "ledger.file": _table(
        "path sha256 source_id kind load_seq first_seen_at status reason rows_loaded rows_rejected", "load_seq"
    ),
    "ledger.pull": _table(
        "run_id server period_begin period_end studies series found stored known failed unanswered", "run_id server"
    ),
    "ledger.file_balance": _table(
        "load_seq path sha256 source_id quantity rows_stated stated_usv"
        " rows_counted counted_usv rows_repeated repeated_usv rows_replaced replaced_usv"
        " rows_conflicting conflicting_usv rows_after_as_of after_as_of_usv rows_rejected rejected_usv"
        " rows_superseded superseded_usv rows_withdrawn withdrawn_usv imbalance_rows imbalance_usv",
        "load_seq quantity",
    ),
    "ledger.rejected_row": _table("path line reason raw"),
    "ledger.expected_study": _table(
        "study_instance_uid accession_number known_from expected_date has_report reason",
        "has_report",
        "study_instance_uid accession_number",
    ),
    "ledger.unmatched_device": _table(
        "device_serial station_name ae_title physical_location reports procedures first_date last_date",
        "reports",
        "device_serial station_name ae_title physical_location",
    ),
    "ledger.oddity": _table("code load_seq path line field message"),
    "ledger.report_balance": _table(
        "load_seq path study_instance_uid device_serial status events_stated events_counted events_counted_elsewhere"
        " events_superseded events_after_as_of events_rejected kap_stated_gy_cm2 is_total_used counted_in_path reason"
        " imbalance_events",
        "load_seq",
    ),
    "ledger.unreadable_dose": _table(
        "load_seq path study_instance_uid accession_number room_id report_date quantity message", "load_seq quantity"
    ),
    "ledger.reader_clock": _table(
        "source_id room_id is_by_modality offset_date offset_s uncertainty_s method n_records n_people runner_up_s"
        " likelihood_ratio is_accepted",
        "source_id is_by_modality offset_date",
        "room_id",
    ),
    "ledger.clock_offset": _table(
        "room_id offset_date offset_s uncertainty_s method n_events correlation peak_ratio is_accepted",
        "room_id offset_date",
    ),
}

RULES = (
    "dose_limit",
    "procedure_dose",
    "dose_per_kap",
    "dose_to_c_arm",
    "absolute_dose",
    "persistent",
    "monthly_dose",
    "badge_not_worn",
    "badge_mismatch",
    "pregnancy",
    "patient_dose",
    "reference_level",
    "training_due",
    "data_quality",
)

PLANES = ("single", "A", "B")
ROLE_GROUPS = ("first_operator", "assisting", "nurse", "technologist", "other")
CAUSES = ("none", "mixed", "radiation", "geometry", "c_arm_badge_or_room", "protection")
STATISTICS = ("kap", "ka_r", "fluoro_time", "hp10", "hp10_per_kap", "hp10_to_c_arm")
DOSE_SOURCES = ("passive", "electronic", "mixed", "external")

LEGAL_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "marts.fct_procedure": {
        "kap_source": ("accumulated", "events"),
        "clock_confidence": ("high", "low", "unknown"),
    },
    "marts.fct_irradiation_event": {
        "plane": PLANES,
        "event_type": (
            "fluoroscopy",
            "stationary_acquisition",
            "stepping_acquisition",
            "rotational_acquisition",
            "other",
        ),
    },
    "marts.fct_operator_procedure": {
        "role_group": ROLE_GROUPS,
        "link_method": ("event", "window", "session", "vendor", "manual", "none"),
        "link_confidence": ("high", "low"),
        "badge_status": ("measured", "zero", "missing"),
    },
    "marts.fct_operator_month": {"dose_source": DOSE_SOURCES},
    "marts.fct_operator_limit": {
        "quantity": ("effective", "effective_dose_equivalent", "lens", "extremity", "uterus"),
        "dose_window": ("calendar_year", "rolling_12_months", "rolling_5_years", "month", "career", "pregnancy"),
        "limit_status": ("confirmed", "must_confirm"),
    },
    "marts.fct_study_dose": {
        "modality": ("XA", "CT", "DX", "MG"),
        "ctdi_phantom": ("head_16", "body_32"),
    },
    "marts.fct_patient_exposure": {"dose_window": ("1_year", "3_years", "5_years", "all")},
    "marts.fct_reference_level": {
        "status": ("above", "at_or_below", "too_few", "no_drl"),
        "drl_scope": ("site", "national", "european", "none"),
    },
    "marts.fct_skin_dose": {"method": ("angles", "total_only")},
    "marts.fct_skin_followup": {
        "need": ("inform", "examine", "examine_twice", "none"),
        "state": ("open", "informed", "seen", "overdue", "not_needed"),
    },
    "marts.fct_training_status": {
        "validity_source": ("certificate", "requirement", "operators_csv", "none"),
        "validity_status": ("confirmed", "must_confirm"),
        "state": ("valid", "due", "expired", "no_expiry_known", "not_recorded"),
    },
    "marts.fct_dose_explanation": {
        "role_group": ROLE_GROUPS,
        "main_cause": CAUSES,
    },
    "marts.fct_operator_protection": {"role_group": ROLE_GROUPS, "period": ("rolling_12_months", "quarter")},
    "marts.fct_room_month": {"role_group": ROLE_GROUPS, "quantity": STATISTICS},
    "marts.fct_class_quarter": {"role_group": ROLE_GROUPS, "quantity": STATISTICS},
    "marts.fct_rule_outcome": {"rule": RULES},
    "marts.fct_dose_link": {"link_method": ("event", "window", "session", "vendor", "manual", "apportioned")},
    "alerts.alert": {
        "rule": RULES,
        "severity": ("notice", "review", "urgent"),
        "subject_type": ("operator", "procedure", "patient", "room", "site"),
        "audience": ("operator", "medical_physics", "restricted"),
        "state": ("open", "acknowledged", "closed"),
        "decided_by": ("third_quartile", "floor", "cap"),
        "role_group": ROLE_GROUPS,
        "main_cause": CAUSES,
    },
    "ledger.linkage": {"wearer_kind": ("staff", "c_arm")},
    "ledger.unlinked_dose": {
        "reason": (
            "no_procedure",
            "ambiguous_room",
            "ambiguous_procedure",
            "multi_procedure",
            "residual",
            "passive_period",
            "unassigned_badge",
            "room_unknown",
            "clock_unknown",
            "inside_dst_fold",
            "not_occupational",
            "below_detection",
        )
    },
    "ledger.file": {
        "kind": ("dose_report", "dosimeter"),
        "status": ("loaded", "duplicate", "superseded", "withdrawn", "not_dose", "ignored", "quarantined"),
    },
    "ledger.expected_study": {"reason": ("awaited", "missing", "not_retrieved", "report_not_counted")},
    "ledger.report_balance": {"status": ("loaded", "duplicate", "superseded", "withdrawn", "quarantined")},
    "ledger.unreadable_dose": {"quantity": ("kap", "ka_r", "fluoro_time", "dlp", "ctdi_vol", "agd")},
    "ledger.reader_clock": {"method": ("wearers", "carried", "declared", "none")},
    "ledger.clock_offset": {"method": ("cross_correlation", "carried", "declared", "none")},
}
