"""A site: its folder read into one checked value (site.yaml, reference CSVs, source descriptions).

Only reading and checking live here; what a CSV holds is said in ``ingest/site/reference.py``, what a source description
holds in ``ingest/dosimeters/description.py``. Nothing is written and no dose file is opened.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
)

from ingest.cells import known_zone, mail_address
from ingest.dosimeters.description import SourceDescription, load_description
from ingest.problems import Problem, SiteError, did_you_mean
from ingest.site.reference import TABLES, TABLES_BY_NAME, Jurisdiction
from ingest.site.reference_reader import ReferenceTable, check_together, read_table
from ingest.strict_yaml import problems_of, read_yaml
from ingest.user_files import CSV_BYTES, YAML_BYTES, read_regular

UNKNOWN_HUB_ROOM = "unknown_hub_room"
UNREAD_FILE = "unread_file"
# SQLAlchemy, by which Dagster opens SQLite, and dbt-duckdb read a path as an address: there these have a meaning.
UNUSABLE_IN_PATHS = "?#%\n\r"


# --- site.yaml (docs/contract/inputs.md#I1; keys that are left out have the contract's values) --------------------


def _environment_name(name: str) -> str:
    # The value is never quoted: a password that is written here by mistake must not appear in a log.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(
            "must be the name of an environment variable; the secret itself never goes into the site folder"
        )
    return name


def _service_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        raise ValueError("must be an address such as http://127.0.0.1:8042/dicom-web")
    if "@" in url.split("/")[2]:
        raise ValueError("must not hold a user or password; use username_env and password_env")
    return url


def _pages_url(url: str) -> str:
    if not re.fullmatch(r"(https?://[^\s/@?#]+|file:///[^\s?#]*)(/[^\s?#]*)?", url):
        raise ValueError(
            "must be the address at which readers open the folder published/current, such as https://dose.hospital.example"
        )
    return url.rstrip("/")


def _inside_site(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError("must be a folder inside the site, relative to it; for another place put a link there")
    return path


def _section(value: object) -> object:
    """A section whose keys are all left out or commented out is empty, not wrong."""
    return {} if value is None else value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Zone = Annotated[str, AfterValidator(known_zone)]
Address = Annotated[str, AfterValidator(mail_address)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
Port = Annotated[int, Field(ge=1, le=65535)]
AeTitle = Annotated[str, StringConstraints(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
Days = Annotated[int, Field(ge=0, le=3660)]
Modality = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_]{1,16}$")]
Rule = Literal[
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
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DicomWeb(_Model):
    """A DICOMweb server that dose reports are pulled from."""

    url: Annotated[str, AfterValidator(_service_url)]
    username_env: EnvironmentName | None = None
    password_env: EnvironmentName | None = None
    lookback_days: Days = 3


class Dimse(_Model):
    """A PACS that dose reports are pulled from by C-GET."""

    host: Text
    port: Port
    called_ae: AeTitle
    calling_ae: AeTitle = "DOSELEDGER"
    lookback_days: Days = 3


class Receive(_Model):
    """The C-STORE receiver of this site."""

    port: Port
    ae_title: AeTitle = "DOSELEDGER"
    allowed_ae: list[AeTitle] = Field(default_factory=list)


class DoseReports(_Model):
    """Where dose reports lie."""

    folder: Annotated[str, AfterValidator(_inside_site)] = "inbox/dose_reports"
    dicomweb: DicomWeb | None = None
    dimse: Dimse | None = None
    receive: Receive | None = None


class Mail(_Model):
    """Who gets which letter, and by which server."""

    from_: Address = Field(default="doseledger@hospital.example", alias="from")
    medical_physics: list[Address] = ["mpe@hospital.example"]
    operations: list[Address] = []
    restricted: list[Address] = []
    smtp_url_env: EnvironmentName = "DOSELEDGER_SMTP_URL"
    attach_page: StrictBool = False


class Webhook(_Model):
    """An address that is posted to; it is a secret, so an environment variable holds it."""

    url_env: EnvironmentName
    on: Annotated[list[Literal["failed", "published"]], Field(min_length=1)]


class Gate(_Model):
    """What blocks a publication beyond the fixed checks. Shares are parts of 1."""

    max_quarantined_files_share: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.05")


class Archive(_Model):
    """How long compressed copies of loaded exports are kept; None: for ever."""

    keep_days: Annotated[int, Field(ge=1, le=36_600)] | None = None


def _alert_values(settings: dict[str, bool | Decimal]) -> dict[str, bool | Decimal]:
    for name, value in settings.items():
        if (name == "enabled") != isinstance(value, bool):
            raise ValueError(f"{name}: 'enabled' is true or false, every other name is a threshold and a number")
    return settings


PagesUrl = Annotated[str, AfterValidator(_pages_url)]

AlertSettings = Annotated[dict[str, StrictBool | Decimal], AfterValidator(_alert_values)]


class PatientIds(_Model):
    """How patient IDs are compared: ``strip_leading_zeros`` for a site of which some systems drop them."""

    strip_leading_zeros: StrictBool = False


class SiteConfig(_Model):
    """site.yaml."""

    site_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{2,32}$")] = "hcx"
    name: Text = "Hospital X"
    timezone: Zone = "Europe/Madrid"
    language: Literal["en", "fr", "es"] = "en"
    jurisdiction: Jurisdiction = "eu"
    as_of: Literal["today", "fixed"] = "today"
    lens_regime: Literal["annual_20", "five_year_100"] | None = None
    passive_delay_days: Days = 45
    data_dir: Text = "data"
    patient_id_placeholders: list[str] = ["ANONYMOUS", "UNKNOWN", "TEST", "0"]
    patient_id: Annotated[PatientIds, BeforeValidator(_section)] = PatientIds()
    dose_reports: Annotated[DoseReports, BeforeValidator(_section)] = DoseReports()
    expected_modalities: list[Modality] = ["XA", "RF"]
    mail: Annotated[Mail, BeforeValidator(_section)] = Mail()
    webhooks: list[Webhook] = []
    pages_url: PagesUrl | None = None
    alerts: Annotated[dict[Rule, AlertSettings], BeforeValidator(_section)] = Field(default_factory=dict)
    gate: Annotated[Gate, BeforeValidator(_section)] = Gate()
    ignored_files: list[Text] = []
    archive: Annotated[Archive, BeforeValidator(_section)] = Archive()


_SECTIONS: dict[str, type[BaseModel]] = {
    "": SiteConfig,
    "patient_id": PatientIds,
    "dose_reports": DoseReports,
    "dose_reports.dicomweb": DicomWeb,
    "dose_reports.dimse": Dimse,
    "dose_reports.receive": Receive,
    "mail": Mail,
    "webhooks": Webhook,
    "gate": Gate,
    "archive": Archive,
}


# --- the site ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """A site that can be run.

    Attributes:
        root: the site folder, absolute.
        config: site.yaml.
        sources: dosimeter source descriptions by source_id.
        reference: reference tables by name; one that the site does not have is empty.
        inputs: SHA-256 of each of these files by its path relative to the site.
        problems: what is wrong but does not stop a run: refused rows, overlaps, odd names.
    """

    root: Path
    config: SiteConfig
    sources: Mapping[str, SourceDescription]
    reference: Mapping[str, ReferenceTable]
    inputs: Mapping[str, str]
    problems: tuple[Problem, ...]

    @property
    def data_dir(self) -> Path:
        """Folder below which everything is written."""
        return self.root / self.config.data_dir

    @property
    def build_db(self) -> Path:
        """The build database."""
        return self.data_dir / "build" / "doseledger.duckdb"

    @property
    def archive_dir(self) -> Path:
        """Folder of the compressed copies of loaded exports."""
        return self.data_dir / "archive"

    @property
    def published_dir(self) -> Path:
        """Folder of the publications."""
        return self.data_dir / "published"

    @property
    def received_dir(self) -> Path:
        """Folder of the dose reports that were pulled or received."""
        return self.data_dir / "received"


def load_site(root: Path) -> Site:
    """Read a site folder.

    Raises:
        SiteError: it cannot be run; holds every problem that stops it.
    """
    site, fatal = _read(root.absolute())
    if site is None:
        raise SiteError(fatal)
    return site


def load_config(root: Path) -> SiteConfig:
    """Read site.yaml alone: whom to write to must be known also where the rest of the site cannot be read.

    Raises:
        SiteError: site.yaml cannot be read, or is wrong.
    """
    folder = _Folder(root.absolute(), {}, [])
    config = _read_config(folder)
    if config is None:
        raise SiteError(folder.fatal)
    return config


def check_site(root: Path) -> list[Problem]:
    """Everything that is wrong with a site folder, whether or not it stops a run; empty if nothing is."""
    site, problems = _read(root.absolute())
    return list(site.problems) if site else problems


@dataclass(frozen=True, slots=True)
class _Folder:
    """A site folder while it is read: what was read so far, and what stops a run."""

    root: Path
    inputs: dict[str, str]
    fatal: list[Problem]

    def content(self, name: str) -> bytes:
        try:
            content = read_regular(self.root / name, YAML_BYTES if name.endswith(".yaml") else CSV_BYTES)
        except FileNotFoundError:
            message = "does not exist; add it ('doseledger init' makes a folder with all files)"
            raise SiteError([Problem(name, None, None, message)]) from None
        except OSError as error:
            message = f"cannot be read ({error.strerror}); correct the file or its rights"
            raise SiteError([Problem(name, None, None, message)]) from None
        self.inputs[name] = hashlib.sha256(content).hexdigest()
        return content


def _read(root: Path) -> tuple[Site | None, list[Problem]]:
    """The site, or None and all its problems."""
    if not root.is_dir():
        return None, [Problem(root.name, None, None, "the site folder does not exist; 'doseledger init' makes one")]
    folder = _Folder(root, {}, [])
    config = _read_config(folder)
    sources = _read_sources(folder)
    zone = ZoneInfo(config.timezone if config else "UTC")
    reference = check_together(_read_tables(folder, zone), sources)
    odd = [*_unread_files(root), *_unknown_hub_rooms(sources, reference)]
    odd += [problem for table in reference.values() for problem in table.problems]
    if config is None or folder.fatal:
        return None, folder.fatal + odd
    complete = {table.name: reference.get(table.name, ReferenceTable(table)) for table in TABLES}
    return Site(root, config, sources, complete, folder.inputs, tuple(odd)), []


def _read_config(folder: _Folder) -> SiteConfig | None:
    try:
        document = read_yaml(folder.content("site.yaml"), "site.yaml")
        config = SiteConfig.model_validate(document.data)
    except SiteError as error:
        folder.fatal.extend(error.problems)
        return None
    except ValidationError as error:
        folder.fatal.extend(problems_of(error, document, _SECTIONS))
        return None
    folder.fatal.extend(_misplaced_folders(folder.root, config))
    return config


def _misplaced_folders(root: Path, config: SiteConfig) -> Iterable[Problem]:
    """Folders of site.yaml that would make the product read what it writes, or read nothing."""
    data = (root / config.data_dir).resolve()
    read = [(root / name).resolve() for name in ("inbox", "reference", "sources", config.dose_reports.folder)]
    if data == root.resolve() or any(data == folder or folder in data.parents for folder in read):
        yield Problem(
            "site.yaml", None, "data_dir", "must be a folder of its own, not one that is read; choose another"
        )
    if unusable := sorted(set(UNUSABLE_IN_PATHS) & set(str(root / config.data_dir))):
        signs = " and ".join(map(repr, unusable))
        message = (
            f"the path {root / config.data_dir} holds {signs}, which databases below it do not take;"
            " rename the folder, or let data_dir name one elsewhere"
        )
        yield Problem("site.yaml", None, "data_dir", message)
    folder = config.dose_reports.folder
    if "folder" in config.dose_reports.model_fields_set and not (root / folder).is_dir():
        yield Problem("site.yaml", None, "dose_reports.folder", f"the folder '{folder}' does not exist; make it")


def _read_sources(folder: _Folder) -> dict[str, SourceDescription]:
    sources: dict[str, SourceDescription] = {}
    for path in sorted((folder.root / "sources").glob("*.yaml")):
        name = f"sources/{path.name}"
        try:
            folder.content(name)
            sources[path.stem] = source = load_description(path)
        except SiteError as error:
            folder.fatal.extend(error.problems)
        else:
            if source.source_id != path.stem:
                message = f"is '{source.source_id}'; it must be as the file is called"
                folder.fatal.append(Problem(name, None, "source_id", message))
    return sources


def _read_tables(folder: _Folder, zone: ZoneInfo) -> dict[str, ReferenceTable]:
    tables: dict[str, ReferenceTable] = {}
    for table in TABLES:
        if table.is_required or (folder.root / table.file).exists():
            try:
                tables[table.name] = read_table(table, folder.content(table.file), zone)
            except SiteError as error:
                folder.fatal.extend(error.problems)
    return tables


def _unread_files(root: Path) -> Iterable[Problem]:
    """Unread files whose name looks like one that is read."""
    absent = [name for name in TABLES_BY_NAME if not (root / "reference" / f"{name}.csv").exists()]
    for path in sorted((root / "reference").glob("*")):
        meant = did_you_mean(path.stem, absent)
        if path.stem not in TABLES_BY_NAME and meant:
            message = f"is not read; did you mean {meant}.csv?"
            yield Problem(f"reference/{path.name}", None, None, message, UNREAD_FILE)
    for path in sorted((root / "sources").glob("*.yml")):
        message = f"is not read; call it {path.stem}.yaml"
        yield Problem(f"sources/{path.name}", None, None, message, UNREAD_FILE)


def _unknown_hub_rooms(
    sources: Mapping[str, SourceDescription], reference: Mapping[str, ReferenceTable]
) -> Iterable[Problem]:
    if "rooms" not in reference:
        return
    rooms = {cast(str, row["room_id"]) for row in reference["rooms"].rows}
    for source_id, source in sources.items():
        for hub, room in source.hubs.items():
            if room not in rooms:
                message = (
                    f"hub {hub!r} is given room '{room}', which no valid row of rooms.csv has; correct one of them"
                )
                yield Problem(f"sources/{source_id}.yaml", None, "hubs", message, UNKNOWN_HUB_ROOM)
