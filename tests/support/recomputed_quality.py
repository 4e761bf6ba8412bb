"""Findings about records, badges and rooms computed again from the raw tables and from where the ledger put each dose.

Written from the contract, in plain Python; of the decisions it takes the dispositions, and nothing summed from them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

from support.recomputed_patients import Row

UNLINKED_PERCENT = 5
IDENTIFIERS = ("device_serial", "device_serial_sr"), ("station_name",), ("ae_title",), ("physical_location",)


def expired_training(operators: list[Row], as_of: date) -> set[tuple[str, date, float]]:
    """Operator, first day without valid training, days since, for people who were still there then."""
    return {
        (row["operator_id"], last + timedelta(days=1), float((as_of - last).days))
        for row in operators
        if (last := row["rp_training_valid_until"]) and last < as_of and (row["works_to"] or as_of) > last
    }


def refused_rows(findings: list[Row]) -> dict[tuple[str, str], int]:
    """Number of odd rows by path and kind, of the site's own files."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in findings:
        if row["load_seq"] is None:
            counts[row["path"], row["code"]] += 1
    return dict(counts)


def ambiguous_rooms(reports: list[Row], rooms: list[Row]) -> dict[tuple[str, str], int]:
    """Number of reports by identifier and rooms that share its value: the first that any room has decides."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for report in reports:
        for names in IDENTIFIERS:
            value = next((report[name].strip().casefold() for name in names if report[name]), None)
            found = sorted(
                room["room_id"] for room in rooms if value and (room[names[0]] or "").strip().casefold() == value
            )
            if len(found) > 1:
                counts[names[0], ", ".join(found)] += 1
            if found:
                break
    return dict(counts)


def unknown_hubs(records: list[Row], hubs: list[Row]) -> set[tuple[str, str]]:
    """Source and hub of records whose hub has no room."""
    known = {(hub["source_id"], hub["hub"]) for hub in hubs}
    return {(row["source_id"], row["hub"]) for row in records if row["hub"]} - known


def unlinked_shares(
    dispositions: list[Row], records: list[Row], hubs: list[Row], room_of: dict[str, str]
) -> set[tuple[str | None, date, str, float]]:
    """(room or None, month, wearer, share in percent, one digit) of months with more than the tolerance."""
    hub_rooms = {(hub["source_id"], hub["hub"]): hub["room_id"] for hub in hubs}
    hub_of = {(row["load_seq"], row["line"]): row["hub"] for row in records}
    linked: dict[tuple[str, date, str], Decimal] = defaultdict(Decimal)
    unlinked: dict[tuple[str, date, str], Decimal] = defaultdict(Decimal)
    for row in dispositions:
        if (
            row["quantity"] != "hp10"
            or row["layout"] == "badge_periods"
            or row["disposition"] == "covered"
            or row["reason"] == "not_occupational"
        ):
            continue
        hub = hub_of[row["load_seq"], row["line"]]
        room = room_of.get(row["procedure_id"]) or row["c_arm_room_id"] or hub_rooms.get((row["source_id"], hub))
        key = (room or "", row["measured_date"].replace(day=1), "c_arm" if row["c_arm_room_id"] else "staff")
        (unlinked if row["disposition"] == "unlinked" else linked)[key] += row["dose_usv"]
    shares = set()
    for (room, month, wearer), dose in unlinked.items():
        whole = [
            value
            for part in (linked, unlinked)
            for (other, when, who), value in part.items()
            if (when, who) == (month, wearer) and (other == room or not room)
        ]
        percent = 100 * dose / sum(whole) if sum(whole) else Decimal(0)
        if percent > UNLINKED_PERCENT:
            shares.add((room or None, month, wearer, round(float(percent), 1)))
    return shares
