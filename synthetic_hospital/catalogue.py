"""What the demo hospital is made of: procedure classes, rooms, operators, and the presets built from them.

Belongs here: tables only, each figure with its unit and source. Does not belong here: drawing, doses of badges, files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from synthetic_hospital.dirt import TIDY, UNTIDY, Dirt

CARDIOLOGY = "cardiology"
RADIOLOGY = "radiology"


@dataclass(frozen=True, slots=True)
class ProcedureClass:
    """One class of procedures and the distributions of its dose.

    Attributes:
        weight: procedures in nine months of a five-room hospital; only the proportions matter.
        kap_gy_cm2, kap_gsd: median and geometric standard deviation of the lognormal KAP.
        badge_to_c_arm: typical over-apron dose of the first operator / C-arm dose, shield in use.
        fluoro_min: median fluoroscopy time.
        events: median number of irradiation events.
        description: Study Description that the registry sends.
        requested: Requested Procedure Description, where the study description is not telling.
        code: Procedure Code value, likewise.
        acquisition: type of the acquisitions that are not fluoroscopy.
    """

    procedure_type: str
    specialty: str
    weight: int
    kap_gy_cm2: float
    kap_gsd: float
    badge_to_c_arm: float
    fluoro_min: float
    events: int
    description: str
    requested: str | None = None
    code: str | None = None
    acquisition: str = "stationary_acquisition"


# Weights and medians: a synthetic calibration to published figures (Siiskonen 2018 for cardiac KAP; Sailer 2017,
# 10.1007/s00270-016-1526-8, for staff dose per class; Vano 2024, Phys Med 121:103361, for the share of procedures above
# 100 and 200 uSv). They describe no real hospital.
PROCEDURE_CLASSES = {
    row.procedure_type: row
    for row in (
        ProcedureClass("coronary_angiography", CARDIOLOGY, 760, 20, 2.0, 0.035, 4, 14, "CORONARIOGRAFÍA DIAGNÓSTICA"),
        ProcedureClass("pci", CARDIOLOGY, 600, 52, 2.0, 0.035, 12, 32, "Angioplastia coronaria (ICP)"),
        ProcedureClass("pci_cto", CARDIOLOGY, 55, 120, 1.9, 0.035, 35, 70, "Oclusión crónica CTO"),
        ProcedureClass("tavi", CARDIOLOGY, 110, 55, 2.0, 0.05, 17, 30, "Cardiología intervencionista", None, "TAVI01"),
        ProcedureClass("structural_heart", CARDIOLOGY, 90, 30, 2.2, 0.06, 15, 25, "Cierre de orejuela izquierda"),
        ProcedureClass(
            "ep_ablation",
            CARDIOLOGY,
            230,
            6,
            2.6,
            0.03,
            12,
            30,
            "Electrofisiología",
            "Ablación con catéter de fibrilación auricular",
        ),
        ProcedureClass("pacemaker_icd", CARDIOLOGY, 170, 2.2, 2.6, 0.08, 5, 12, "Implante de marcapasos"),
        ProcedureClass("crt", CARDIOLOGY, 35, 11, 2.2, 0.08, 15, 30, "Resincronización CRT-D"),
        ProcedureClass("rhc_biopsy", CARDIOLOGY, 60, 2.5, 2.5, 0.06, 4, 6, "Cateterismo derecho y biopsia"),
        ProcedureClass("tace", RADIOLOGY, 110, 130, 2.1, 0.033, 18, 45, "Radiología intervencionista", None, "TACE22"),
        ProcedureClass(
            "embolisation_other",
            RADIOLOGY,
            120,
            110,
            2.3,
            0.035,
            20,
            50,
            "Embolización",
            acquisition="rotational_acquisition",
        ),
        ProcedureClass(
            "peripheral_angioplasty",
            RADIOLOGY,
            200,
            38,
            2.5,
            0.04,
            14,
            40,
            "ATP femoropoplítea",
            acquisition="stepping_acquisition",
        ),
        ProcedureClass("evar", RADIOLOGY, 50, 120, 2.0, 0.04, 22, 45, "EVAR / TEVAR"),
        ProcedureClass("tips", RADIOLOGY, 22, 140, 2.1, 0.035, 30, 45, "TIPS"),
        ProcedureClass(
            "biliary_drainage",
            RADIOLOGY,
            140,
            16,
            2.4,
            0.11,
            9,
            18,
            "Radiología intervencionista",
            "Drenaje biliar transparietohepático",
        ),
        ProcedureClass("nephrostomy", RADIOLOGY, 150, 3, 2.6, 0.11, 3, 8, "Nefrostomía percutánea"),
        ProcedureClass("central_venous_access", RADIOLOGY, 290, 0.8, 2.8, 0.09, 0.8, 4, "Acceso venoso central"),
        ProcedureClass("av_fistula", RADIOLOGY, 75, 5, 2.5, 0.12, 7, 18, "Fístula AV de diálisis"),
        ProcedureClass("thrombectomy_stroke", RADIOLOGY, 70, 85, 1.9, 0.03, 22, 40, "Trombectomía mecánica"),
        ProcedureClass("vertebroplasty", RADIOLOGY, 36, 25, 2.2, 0.06, 9, 15, "Vertebroplastia"),
    )
}

# Share of patients below 18 years by class, where a general hospital treats children at all: closures of septal
# defects, ablations of accessory pathways, biopsies after transplants, lines, drains. With these about 1 % of all
# procedures are of children, an assumption; a children's hospital has more.
CHILD_SHARES = {
    "structural_heart": 0.06,
    "ep_ablation": 0.05,
    "rhc_biopsy": 0.10,
    "embolisation_other": 0.02,
    "central_venous_access": 0.04,
    "nephrostomy": 0.04,
}
ADULT_AGE = 18
# A child's KAP as a share of an adult's for the same work, by age: what gives the same effective dose. Karambatsakidou
# 2009 has 3.7, 1.9, 1.0, 0.6 and 0.4 mSv/(Gy.cm2) for children of 0, 1, 5, 10 and 15 years, and 0.2 for adults.
CHILD_KAP_SHARES = ((0, 0.054), (1, 0.105), (5, 0.2), (10, 0.33), (15, 0.5), (ADULT_AGE, 1.0))

# The site's own mapping of names to classes (reference/procedure_types.csv): priority, field, match, pattern, class.
PROCEDURE_TYPE_RULES = (
    (8, "study_description", "regex", r"\bCTO\b", "pci_cto"),
    (10, "procedure_code", "exact", "TAVI01", "tavi"),
    (10, "procedure_code", "exact", "TACE22", "tace"),
    (10, "requested_procedure", "regex", "^ablacion.*(fibrilacion|flutter)", "ep_ablation"),
    (10, "requested_procedure", "contains", "drenaje biliar", "biliary_drainage"),
    (20, "study_description", "contains", "coronariografia", "coronary_angiography"),
    (20, "study_description", "contains", "angioplastia coronaria", "pci"),
    (20, "study_description", "contains", "orejuela", "structural_heart"),
    (20, "study_description", "contains", "marcapasos", "pacemaker_icd"),
    (20, "study_description", "regex", r"\bCRT-[DP]\b", "crt"),
    (20, "study_description", "contains", "cateterismo derecho", "rhc_biopsy"),
    (20, "study_description", "contains", "embolizacion", "embolisation_other"),
    (20, "study_description", "contains", "femoropoplitea", "peripheral_angioplasty"),
    (20, "study_description", "contains", "EVAR", "evar"),
    (20, "study_description", "exact", "tips", "tips"),
    (20, "study_description", "contains", "nefrostomia", "nephrostomy"),
    (20, "study_description", "contains", "acceso venoso", "central_venous_access"),
    (20, "study_description", "contains", "fistula AV", "av_fistula"),
    (20, "study_description", "contains", "trombectomia", "thrombectomy_stroke"),
    (20, "study_description", "contains", "vertebroplastia", "vertebroplasty"),
)

# Diagnostic reference levels, KAP in Gy.cm2 (reference/drl.csv): European values of 14 922 procedures in 37 clinics.
DRL_CITATION = "Siiskonen et al. 2018, Phys Med 54:42-48"
DRL_KAP_GY_CM2 = (("coronary_angiography", 35), ("pci", 85), ("tavi", 130), ("ep_ablation", 12), ("crt", 18))


@dataclass(frozen=True, slots=True)
class Calibration:
    """A certificate of a room's KAP meter: true KAP = reported KAP x factor on these local dates (inclusive)."""

    factor: Decimal
    valid_from: date
    valid_to: date | None
    certificate: str


@dataclass(frozen=True, slots=True)
class Room:
    """One room: its X-ray system as the dose reports name it, its badge hub, and its work.

    Attributes:
        dialect: how its X-ray system writes dose reports (a key of ``report_files.DIALECTS``).
        hub: name of the badge receiver in the exports of ``rate_source``.
        scatter_factor: this room's C-arm dose per KAP relative to the hospital's mean.
        procedures: number of procedures in the preset's period.
        classes: procedure types done here.
        device_timezone: zone of its X-ray system's times, where it is not the site's.
        is_biplane: two planes, each with events of its own.
    """

    room_id: str
    name: str
    specialty: str
    station_name: str
    device_serial: str
    ae_title: str
    manufacturer: str
    model: str
    dialect: str
    hub: str
    rate_source: str
    scatter_factor: float
    calibrations: tuple[Calibration, ...]
    procedures: int
    classes: tuple[str, ...]
    device_timezone: str | None = None
    is_biplane: bool = False

    @property
    def c_arm_badge(self) -> str:
        """Serial of the reference badge on the C-arm."""
        return f"REF{self.room_id}"

    def calibration_on(self, day: date) -> Decimal:
        """KAP calibration factor on a local date; 1 without a certificate."""
        return next(
            (c.factor for c in self.calibrations if c.valid_from <= day <= (c.valid_to or date.max)), Decimal(1)
        )


@dataclass(frozen=True, slots=True)
class Operator:
    """One person: a row of reference/operators.csv and the over-apron badge that he or she wears."""

    operator_id: str
    name: str
    specialty: str
    grade: str
    worker_category: str
    language: str
    badge: str
    worn_at: str
    rp_training_valid_until: date
    wears_lead_glasses: bool
    wears_thyroid_collar: bool
    pregnancy_declared_on: date | None = None
    has_session_badge: bool = False

    @property
    def is_physician(self) -> bool:
        """Whether the person can be first or second operator."""
        return self.grade in ("consultant", "trainee")

    @property
    def badge_kind(self) -> str:
        """Electronics of the badge: nurses and technologists, and a few physicians, carry session badges."""
        return "rate" if self.is_physician and not self.has_session_badge else "session"


@dataclass(frozen=True, slots=True)
class Badge:
    """One row of reference/dosimeters.csv.

    ``kind`` is the electronics: rate, session or passive; ``hours_source`` exports the hourly totals of a rate badge.
    """

    serial: str
    worn_at: str
    operator_id: str | None
    room_id: str | None
    kind: str
    hours_source: str | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """One hospital to be drawn: who and what works there between two local dates (inclusive).

    Attributes:
        dirt: what goes wrong.
        counter_specialties: departments whose hourly exports are readings of a counter, not increments.
        names_hubs: the exports say which room's hub received a record.
    """

    name: str
    site_id: str
    site_name: str
    timezone: str
    first_day: date
    last_day: date
    rooms: tuple[Room, ...]
    operators: tuple[Operator, ...]
    dirt: Dirt = TIDY
    counter_specialties: frozenset[str] = frozenset()
    names_hubs: bool = True

    def midnight(self, day: date) -> datetime:
        """The instant at which a local date begins."""
        return datetime.combine(day, time(), ZoneInfo(self.timezone))

    def days(self) -> list[date]:
        """All local dates of the period."""
        return [self.first_day + timedelta(days=n) for n in range((self.last_day - self.first_day).days + 1)]

    def hours_source(self, specialty: str) -> str:
        """The source that exports the hourly totals of a department's badges."""
        return "counter_hours" if specialty in self.counter_specialties else "badge_hours"

    def badges(self) -> tuple[Badge, ...]:
        """All badges: one electronic per person, one passive under every physician's apron, one on every C-arm.

        The first consultant of each specialty also wears a passive badge over the apron, for comparison.
        """
        badges = [
            Badge(room.c_arm_badge, "c_arm", None, room.room_id, "rate", self.hours_source(room.specialty))
            for room in self.rooms
        ]
        compared: set[str] = set()
        for person in self.operators:
            hours = self.hours_source(person.specialty) if person.badge_kind == "rate" else None
            badges.append(Badge(person.badge, person.worn_at, person.operator_id, None, person.badge_kind, hours))
            if person.is_physician:
                badges.append(Badge(f"U{person.badge}", "under_apron_chest", person.operator_id, None, "passive"))
            if person.grade == "consultant" and person.specialty not in compared:
                compared.add(person.specialty)
                badges.append(Badge(f"O{person.badge}", "over_apron_chest", person.operator_id, None, "passive"))
        return tuple(badges)


_CATH1 = Room(
    room_id="CATH1",
    name="Hemodinámica 1",
    specialty=CARDIOLOGY,
    station_name="AXIS01366",
    device_serial="146301",
    ae_title="CATH1_XA",
    manufacturer="Siemens",
    model="AXIOM-Artis",
    dialect="siemens",
    hub="BASE-1",
    rate_source="cath_rates",
    scatter_factor=0.95,
    calibrations=(
        Calibration(Decimal("1.06"), date(2023, 1, 1), date(2024, 3, 31), "KAP-2023-11"),
        Calibration(Decimal("0.97"), date(2024, 4, 1), None, "KAP-2024-04"),
    ),
    procedures=132,
    classes=("coronary_angiography", "pci", "ep_ablation", "pacemaker_icd", "tavi"),
)
_IR1 = Room(
    room_id="IR1",
    name="Radiología vascular 1",
    specialty=RADIOLOGY,
    station_name="IR1",
    device_serial="2CA0301",
    ae_title="IR1_XA",
    manufacturer="Canon",
    model="Alphenix",
    dialect="canon",
    hub="hub/IR1",
    rate_source="ir_rates",
    scatter_factor=1.1,
    calibrations=(Calibration(Decimal("0.92"), date(2023, 1, 1), None, "KAP-2023-12"),),
    procedures=90,
    classes=(
        "central_venous_access",
        "peripheral_angioplasty",
        "nephrostomy",
        "biliary_drainage",
        "embolisation_other",
    ),
)
_COLLAR, _CHEST = "over_apron_collar", "over_apron_chest"
_VALID = date(2026, 12, 31)
_OPERATORS = (
    Operator("CD01", "Ibáñez Ruiz, María", CARDIOLOGY, "consultant", "A", "es", "1001", _CHEST, _VALID, True, True),
    Operator(
        "CD02", "Lefèvre, Jean-François", CARDIOLOGY, "consultant", "A", "fr", "1002", _COLLAR, _VALID, False, True
    ),
    Operator("CD03", "Соколова, Юлия", CARDIOLOGY, "trainee", "A", "en", "1003", _COLLAR, _VALID, True, True),
    Operator("CN01", "O'Brien, Siobhán", CARDIOLOGY, "nurse", "B", "en", "3001", _COLLAR, _VALID, False, True),
    Operator("RD01", "العلوي، محمد", RADIOLOGY, "consultant", "A", "fr", "2001", _CHEST, date(2024, 4, 15), True, True),
    Operator(
        "RD02",
        "Παπαδοπούλου, Ελένη",
        RADIOLOGY,
        "consultant",
        "A",
        "en",
        "2002",
        _COLLAR,
        _VALID,
        True,
        True,
        date(2024, 4, 2),
    ),
    Operator("RN01", "Núñez Peña, José", RADIOLOGY, "nurse", "B", "es", "4001", _COLLAR, _VALID, False, True),
    Operator("RT01", "王, 小明", RADIOLOGY, "technologist", "B", "en", "4002", _CHEST, _VALID, False, False),
)


_SMALL = Preset(
    name="small",
    site_id="demo",
    site_name="Demo Hospital",
    timezone="Europe/Madrid",
    first_day=date(2024, 3, 1),
    last_day=date(2024, 4, 30),
    rooms=(_CATH1, _IR1),
    operators=_OPERATORS,
)
_TINY = replace(
    _SMALL,
    name="tiny",
    first_day=date(2024, 3, 22),
    last_day=date(2024, 4, 4),
    rooms=(replace(_CATH1, procedures=22), replace(_IR1, procedures=14)),
)

_CARDIAC = tuple(name for name, kind in PROCEDURE_CLASSES.items() if kind.specialty == CARDIOLOGY)
_VASCULAR = tuple(name for name, kind in PROCEDURE_CLASSES.items() if kind.specialty == RADIOLOGY)


def _team(specialty: str, prefix: str, first_badge: int, names: tuple[str, ...]) -> tuple[Operator, ...]:
    """A department's physicians: the last two are trainees, and the last of all carries a session badge."""
    count = len(names)
    return tuple(
        Operator(
            operator_id=f"{prefix}{n:02d}",
            name=name,
            specialty=specialty,
            grade="trainee" if n > count - 2 else "consultant",
            worker_category="A",
            language=("es", "en", "fr")[n % 3],
            badge=str(first_badge + n),
            worn_at=_COLLAR if n % 3 else _CHEST,
            rp_training_valid_until=_VALID,
            wears_lead_glasses=n % 2 == 0,
            wears_thyroid_collar=True,
            pregnancy_declared_on=date(2024, 4, 8) if (prefix, n) == ("IR", 4) else None,
            has_session_badge=n == count,
        )
        for n, name in enumerate(names, start=1)
    )


# The published study's size (Sanchez, Vano, Fernandez 2026): 5 rooms, 8 cardiologists and 11 radiologists, 3373
# procedures in nine months. Its rooms have what real ones have: four makers, a biplane system, one that runs in UTC.
_PAPER = Preset(
    name="paper",
    site_id="paper",
    site_name="Synthetic University Hospital",
    timezone="Europe/Madrid",
    first_day=date(2024, 1, 1),
    last_day=date(2024, 9, 30),
    rooms=(
        replace(_CATH1, procedures=704, classes=_CARDIAC),
        replace(
            _CATH1,
            room_id="CATH2",
            name="Hemodinámica 2",
            station_name="CATH2-AW",
            device_serial="GE20417",
            ae_title="CATH2_XA",
            manufacturer="GE MEDICAL SYSTEMS",
            model="Innova IGS",
            dialect="ge",
            hub="BASE-2",
            scatter_factor=1.25,
            calibrations=(),
            procedures=703,
            classes=_CARDIAC,
        ),
        replace(
            _CATH1,
            room_id="CATH3",
            name="Hemodinámica 3 (biplano)",
            station_name="CATH3",
            device_serial="722010",
            ae_title="CATH3_XA",
            manufacturer="Philips",
            model="Azurion 7 B20/15",
            dialect="philips",
            hub="BASE-3",
            scatter_factor=0.8,
            calibrations=(Calibration(Decimal("1.03"), date(2023, 1, 1), None, "KAP-2023-14"),),
            procedures=703,
            classes=_CARDIAC,
            is_biplane=True,
        ),
        replace(_IR1, procedures=632, classes=_VASCULAR),
        replace(
            _IR1,
            room_id="IR2",
            name="Radiología vascular 2",
            station_name="IR2",
            device_serial="722044",
            ae_title="IR2_XA",
            manufacturer="Philips",
            model="Allura Xper",
            dialect="philips",
            hub="hub/IR2",
            scatter_factor=1.0,
            calibrations=(),
            procedures=631,
            classes=_VASCULAR,
            device_timezone="Etc/UTC",
        ),
    ),
    operators=(
        *_team(CARDIOLOGY, "CD", 1100, tuple(f"Cardiólogo {n}" for n in range(1, 9))),
        *_team(RADIOLOGY, "IR", 2100, tuple(f"Radiólogo {n}" for n in range(1, 12))),
    ),
    dirt=UNTIDY,
    counter_specialties=frozenset({RADIOLOGY}),
)
# The same kinds of dirt in two weeks, for tests: each report fault once at least.
_TINY_PAPER = replace(
    _PAPER,
    name="tiny-paper",
    site_id="tinypaper",
    first_day=date(2024, 3, 18),
    last_day=date(2024, 4, 5),
    rooms=tuple(replace(room, procedures=n) for room, n in zip(_PAPER.rooms, (24, 12, 24, 20, 20), strict=True)),
    dirt=replace(UNTIDY, slow_hub_from_day=8, slow_hub_days=4, modality_set_every_days=10, corrected_rows=8),
)

# All cross the night of 31 March 2024, when Madrid's clocks go forward and a badge's clock without DST does not.
PRESETS = {preset.name: preset for preset in (_TINY, _SMALL, _TINY_PAPER, _PAPER)}
