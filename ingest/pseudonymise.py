"""The site's secret key, and keyed hashes of patients and paths, which cannot be found by trying all values.

De-identification of text is in ``ingest/dose_reports/scrub.py``; hashes are stored by
``ingest/raw/loader.py``.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ingest.problems import UserError
from ingest.user_files import read_regular

MIN_KEY_BYTES = 16  # 128 bits if each byte is random: a shorter key can be counted through with every patient ID
KEY_FILE_BYTES = 1_000_000
SEPARATOR = b"\x1f"  # in no DICOM value


class KeyRefused(UserError):
    """There is no usable pseudonymisation key."""


class WrongKey(UserError):
    """The warehouse was made with another key: its patients could not be recognised any more."""


class PatientKeys(NamedTuple):
    """Keyed hashes of a patient; all None for an empty or placeholder ID.

    Attributes:
        patient_key: of issuer and ID as stated.
        issuer_key: of the issuer; None where none is stated.
        patient_id_key: of the ID alone.
        patient_id_stripped_key: of the ID without leading zeros; equal to ``patient_id_key`` of an ID that has none.
    """

    patient_key: str | None
    issuer_key: str | None
    patient_id_key: str | None
    patient_id_stripped_key: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """The pseudonymisation key of one site.

    Attributes:
        key_id: tells keys apart without telling the key; stored in the warehouse.
        origin: one sentence for the run's report if the key was just made, else None.
    """

    secret: bytes = field(repr=False)
    origin: str | None = None

    @property
    def key_id(self) -> str:
        """Sixteen hex digits."""
        return self._hash(b"key_id")[:16]

    def patient_key(self, issuer: str | None, patient_id: str | None, placeholders: Iterable[str]) -> str | None:
        """Keyed hash of a patient, or None for an empty or placeholder ID (compared trimmed, case ignored)."""
        trimmed = (patient_id or "").strip()
        if not trimmed or trimmed.casefold() in {placeholder.strip().casefold() for placeholder in placeholders}:
            return None
        return self._hash(b"patient", (issuer or "").strip().encode(), trimmed.encode())

    def patient_keys(self, issuer: str | None, patient_id: str | None, placeholders: Iterable[str]) -> PatientKeys:
        """What is stored of a patient; which IDs are one patient's is decided in dbt."""
        patient_key = self.patient_key(issuer, patient_id, placeholders)
        if patient_key is None:
            return PatientKeys(None, None, None, None)
        stated, issued_by = (patient_id or "").strip(), (issuer or "").strip()
        return PatientKeys(
            patient_key,
            self._hash(b"issuer", issued_by.encode()) if issued_by else None,
            self._hash(b"patient_id", stated.encode()),
            self._hash(b"patient_id", (stated.lstrip("0") or "0").encode()),
        )

    def path_key(self, path: bytes) -> str:
        """Keyed hash of a path relative to the site: distinguishes files whose stored paths are de-identified."""
        return self._hash(b"path", path)

    def _hash(self, *parts: bytes) -> str:
        return hmac.new(self.secret, SEPARATOR.join(parts), hashlib.sha256).hexdigest()


def load_key(site_id: str, environ: Mapping[str, str]) -> Key:
    """The key from DOSELEDGER_KEY, else from the file DOSELEDGER_KEY_FILE names, else the site's own, made if absent.

    Raises:
        KeyRefused: empty, too short, or a file that cannot be read or made.
    """
    path = key_file(site_id, environ)
    if path is None:
        return _key(environ["DOSELEDGER_KEY"].encode(), "DOSELEDGER_KEY")
    if "DOSELEDGER_KEY_FILE" in environ:
        return _key(_read(path), f"the file {path} that DOSELEDGER_KEY_FILE names")
    origin = None
    if not path.exists():
        _make(path)
        origin = f"A new pseudonymisation key was made at {path}; keep a copy of it in a safe place."
    return _key(_read(path), f"the file {path}", origin)


def key_file(site_id: str, environ: Mapping[str, str]) -> Path | None:
    """The file that the key is read from, there or not; None if DOSELEDGER_KEY holds it."""
    if "DOSELEDGER_KEY" in environ:
        return None
    if "DOSELEDGER_KEY_FILE" in environ:
        return Path(environ["DOSELEDGER_KEY_FILE"])
    return _config_home(environ) / "doseledger" / f"{site_id}.key"


def _key(secret: bytes, where: str, origin: str | None = None) -> Key:
    secret = secret.strip()
    if len(secret) < MIN_KEY_BYTES:
        what = "empty" if not secret else f"too short ({len(secret)} of at least {MIN_KEY_BYTES} bytes)"
        raise KeyRefused(f"The pseudonymisation key in {where} is {what}; give a longer one or unset it.")
    return Key(secret, origin)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, KEY_FILE_BYTES)
    except OSError as error:
        raise KeyRefused(f"The pseudonymisation key file {path} cannot be read ({error.strerror}).") from None


def _config_home(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("XDG_CONFIG_HOME", ""))
    # The XDG specification: a value that is not absolute counts as unset.
    return home if home.is_absolute() else Path(environ.get("HOME") or Path.home()) / ".config"


def _make(path: Path) -> None:
    """Make a key file whole or not at all: half a key after a crash would be refused for ever."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process made the key meanwhile: theirs is the key
            os.link(draft, path)
        draft.unlink()
    except OSError as error:
        raise KeyRefused(
            f"No pseudonymisation key can be made at {path} ({error.strerror}); "
            "set DOSELEDGER_KEY_FILE to a file that you keep."
        ) from None
