"""A DICOMweb server: studies, series and objects by QIDO-RS, their bytes one by one by WADO-RS.

Only DICOMweb's paths, JSON and multipart messages are here. The bytes kept are those that the server sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ingest.dose_reports.dicom_file import Identity, identity_of
from ingest.site.config import DicomWeb
from ingest.sources.budget import MOST_ANSWERS, Budget
from ingest.sources.http import HttpServer
from ingest.sources.source import Days, Instance, ObjectFailed, Series, SourceFailed, Study
from ingest.sources.store import MAX_OBJECT_BYTES

PAGE = 200  # answers per page
MAX_JSON_BYTES = 16 << 20
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_CLASS, _MODALITY, _MODALITIES, _ACCESSION, _STUDY_DATE = "00080016", "00080060", "00080061", "00080050", "00080020"
_JSON = "application/dicom+json"
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_Item = dict[str, Any]


class DicomWebSource:
    """One DICOMweb server; user and password come from the environment, trusted authorities as for ``requests``."""

    def __init__(self, settings: DicomWeb, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self._environ = environ
        self._server = HttpServer(self.address, Budget())
        names = self.settings.username_env, self.settings.password_env
        self._server.login_hint = (
            f"look at {names[0]} and {names[1]}" if any(names) else "set username_env and password_env"
        )

    @property
    def lookback_days(self) -> int:
        """How many days before the run's date the search begins."""
        return self.settings.lookback_days

    @property
    def address(self) -> str:
        """The server's URL without query."""
        url = urlsplit(self.settings.url)
        return f"dicomweb {url.scheme}://{url.netloc}{url.path}"

    def close(self) -> None:
        """Give back the connections."""
        self._server.close()

    def studies(self, days: Days) -> list[Study]:
        """All studies of these days."""
        until = f"{days.until:%Y%m%d}" if days.until else ""
        since = f"{days.since:%Y%m%d}"
        dates = since if since == until else f"{since}-{until}"
        return [
            Study(
                _text(item, _STUDY), _text(item, _ACCESSION), _text(item, _STUDY_DATE), tuple(_texts(item, _MODALITIES))
            )
            for item in self._search("/studies", _STUDY, {"StudyDate": dates, "includefield": _MODALITIES})
        ]

    def series(self, study_uid: str) -> list[Series]:
        """All series of a study."""
        found = self._search(f"{_path(study_uid)}/series", _SERIES)
        return [Series(_text(item, _SERIES), _text(item, _MODALITY)) for item in found]

    def instances(self, study_uid: str, series_uid: str) -> list[Instance]:
        """All objects of a series."""
        found = self._search(f"{_path(study_uid, series_uid)}/instances", _INSTANCE)
        return [Instance(_text(item, _INSTANCE), _text(item, _CLASS)) for item in found]

    def fetch(self, identity: Identity) -> list[bytes]:
        """The object as the server has it, in its own transfer syntax."""
        try:
            return self._files(_path(*identity))
        except ObjectFailed:
            # Orthanc does not give an object whose UID is in two studies, except with its whole study.
            files = [file for file in self._files(_path(identity.study_uid)) if identity_of(file) == identity]
        if not files:
            raise ObjectFailed(f"{self.address} does not give the object {identity.instance_uid}.")
        return files

    def _files(self, path: str) -> list[bytes]:
        self._log_in()
        answer = self._server.get(self._url(path), {}, _AS_STORED, MAX_OBJECT_BYTES)
        content_type = answer.headers.get("Content-Type", "")
        is_multipart = content_type.lower().startswith("multipart/")
        files = _parts(answer.content, content_type) if is_multipart else [answer.content]
        if not files or not all(file[128:132] == b"DICM" for file in files):
            raise ObjectFailed(f"{self.address} sent something that is no whole DICOM file.")
        return files

    def _log_in(self) -> None:
        names = (self.settings.username_env, self.settings.password_env)
        if names == (None, None):
            return
        for key, name in zip(("username_env", "password_env"), names, strict=True):
            if name is None or name not in self._environ:
                what = f"the environment variable {name} is not set" if name else "it is missing"
                raise SourceFailed(f"site.yaml, dose_reports.dicomweb.{key}: {what}; nothing was pulled.")
        user, password = (self._environ[name] for name in names if name)
        self._server.login = user, password

    def _search(self, path: str, uid: str, parameters: Mapping[str, str] | None = None) -> list[_Item]:
        """All answers, page by page: until a page brings nothing new, for some servers know no pages."""
        self._log_in()
        found: dict[str, _Item] = {}
        offset = 0
        while page := self._page(path, {**(parameters or {}), "limit": str(PAGE), "offset": str(offset)}):
            new = {_text(item, uid): item for item in page}
            if new.keys() <= found.keys():
                break
            found |= new
            offset += len(page)
            if len(found) > MOST_ANSWERS:
                raise SourceFailed(f"{self.address} gives more than {MOST_ANSWERS} answers to one question ({path}).")
        return list(found.values())

    def _page(self, path: str, parameters: dict[str, str]) -> list[_Item]:
        answer = self._server.get(self._url(path), parameters, _JSON, MAX_JSON_BYTES)
        try:
            items = json.loads(answer.content or b"[]")
        except (ValueError, RecursionError) as error:
            raise SourceFailed(f"{self.address} answers with no DICOM JSON ({type(error).__name__}).") from error
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise SourceFailed(f"{self.address} answers with no list of DICOM JSON objects.")
        return items

    def _url(self, path: str) -> str:
        return self.settings.url.rstrip("/") + path


def _path(*uids: str) -> str:
    """Path of a study, series or object."""
    levels = ("studies", "series", "instances")
    return "".join(f"/{level}/{quote(uid, safe='')}" for level, uid in zip(levels, uids, strict=False))


def _texts(item: _Item, tag: str) -> list[str]:
    """The values of an attribute in DICOM JSON (PS3.18 annex F); empty ones are no values."""
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    texts = [value for value in (values if isinstance(values, list) else [values]) if isinstance(value, str)]
    return [part for text in texts for value in text.split("\\") if (part := value.strip(" \0"))]


def _text(item: _Item, tag: str) -> str:
    return next(iter(_texts(item, tag)), "")


def _parts(content: bytes, content_type: str) -> list[bytes]:
    """The parts of a multipart message (RFC 2046).

    Raises:
        ObjectFailed: it is cut off.
    """
    parameters = dict(part.strip().partition("=")[::2] for part in content_type.split(";")[1:])
    boundary = next((value.strip('"') for name, value in parameters.items() if name.lower() == "boundary"), "")
    _, *parts = (b"\r\n" + content).split(b"\r\n--" + boundary.encode())
    if not boundary or not parts or not parts[-1].startswith(b"--"):
        raise ObjectFailed("An answer of several parts has no end, or does not say how they are divided.")
    return [part.partition(b"\r\n\r\n")[2] for part in parts[:-1]]
