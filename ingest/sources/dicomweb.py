"""A DICOMweb server: series of structured reports by QIDO-RS, their objects one by one by WADO-RS.

Only talking HTTP lives here. ``requests`` is used as it is: the bytes kept are those that the server sent, and every
answer has a limit in time and size.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import urllib3

from ingest.dose_reports.dicom_file import Identity, identity_of
from ingest.site import DicomWeb
from ingest.sources.pull import ObjectFailed, Period, Reference, SourceFailed
from ingest.sources.store import MAX_OBJECT_BYTES

CONNECT_S = 10.0
SILENCE_S = 30.0  # without a byte
ANSWER_S = 300.0  # a whole answer
CHUNK_BYTES = 1 << 16
PAGE = 200  # series per answer
_STUDY, _SERIES, _INSTANCE, _CLASS, _MODALITY = "0020000D", "0020000E", "00080018", "00080016", "00080060"
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class DicomWebSource:
    """One DICOMweb server; user and password come from the environment, trusted authorities as for ``requests``."""

    def __init__(self, settings: DicomWeb, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self._environ = environ
        self._session = requests.Session()

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
        self._session.close()

    def find(self, period: Period) -> Iterator[Reference]:
        """Instances of every series of modality SR in the period."""
        self._session.auth = self._login()
        for series in self._series(period):
            study_uid, series_uid = _value(series, _STUDY), _value(series, _SERIES)
            if study_uid and series_uid and _value(series, _MODALITY) in (None, "SR"):
                for instance in self._search(_path(study_uid, series_uid) + "/instances", {}):
                    if uid := _value(instance, _INSTANCE):
                        yield Reference(Identity(study_uid, series_uid, uid), _value(instance, _CLASS))

    def fetch(self, identity: Identity) -> list[bytes]:
        """The object as the server has it, in its own transfer syntax."""
        try:
            files = self._files(_path(*identity))
        except ObjectFailed:
            # Orthanc does not give an object whose UID stands in two studies, except with its whole study.
            files = [file for file in self._files(_path(identity.study_uid)) if identity_of(file) == identity]
        if not files:
            raise ObjectFailed(f"{self.address} does not give the object {identity.instance_uid}.")
        return files

    def _files(self, path: str) -> list[bytes]:
        content_type, content = self._get(path, {}, _AS_STORED)
        files = _parts(content, content_type) if content_type.lower().startswith("multipart/") else [content]
        if not all(file[128:132] == b"DICM" for file in files):
            raise ObjectFailed(f"{self.address} sent something that is no whole DICOM file.")
        return files

    def _login(self) -> tuple[str, str] | None:
        names = (self.settings.username_env, self.settings.password_env)
        if names == (None, None):
            return None
        for key, name in zip(("username_env", "password_env"), names, strict=True):
            if name is None or name not in self._environ:
                what = f"the environment variable {name} is not set" if name else "it is missing"
                raise SourceFailed(f"site.yaml, dose_reports.dicomweb.{key}: {what}; nothing was pulled.")
        user, password = (self._environ[name] for name in names if name)
        return user, password

    def _series(self, period: Period) -> Iterator[dict[str, Any]]:
        """All series, page by page: until a page brings nothing new, for some servers know no pages."""
        until = "" if period.is_open else f"{period.until:%Y%m%d}"
        wanted = {"Modality": "SR", "StudyDate": f"{period.since:%Y%m%d}-{until}", "limit": str(PAGE)}
        seen: set[str | None] = set()
        offset = 0
        while page := self._search("/series", wanted | {"offset": str(offset)}):
            new = [series for series in page if _value(series, _SERIES) not in seen]
            if not new:
                return
            seen.update(_value(series, _SERIES) for series in new)
            offset += len(page)
            yield from new

    def _search(self, path: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        try:
            _, content = self._get(path, parameters, "application/dicom+json")
            answer = json.loads(content or b"[]")
        except (ValueError, ObjectFailed) as error:
            detail = str(error) if isinstance(error, ObjectFailed) else f"{self.address} answers with no DICOM JSON."
            raise SourceFailed(detail) from error
        if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
            raise SourceFailed(f"{self.address} answers with no list of DICOM JSON objects.")
        return answer

    def _get(self, path: str, parameters: dict[str, str], accept: str) -> tuple[str, bytes]:
        """Content type and content of one answer.

        Raises:
            SourceFailed: no connection, no access, or silence.
            ObjectFailed: an answer, but not with what was asked for.
        """
        deadline = time.monotonic() + ANSWER_S
        url = self.settings.url.rstrip("/") + path
        self._session.close()  # no connection is used twice: a server may close an idle one at any moment
        try:
            with self._session.get(
                url, params=parameters, headers={"Accept": accept}, timeout=(CONNECT_S, SILENCE_S), stream=True
            ) as answer:
                self._check_status(answer)
                return answer.headers.get("Content-Type", ""), self._read(answer, deadline)
        except requests.exceptions.SSLError as error:
            raise SourceFailed(
                f"{self.address}: its certificate is not trusted; REQUESTS_CA_BUNDLE must name the file of the "
                "authority that signed it."
            ) from error
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise SourceFailed(f"{self.address} does not answer in time; look whether it is running.") from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            # Only its class is told: its text may hold more of the URL than a log may.
            raise SourceFailed(f"{self.address}: no connection, or it broke ({type(error).__name__}).") from error

    def _check_status(self, answer: requests.Response) -> None:
        if answer.status_code in (401, 403):
            names = self.settings.username_env, self.settings.password_env
            where = f"look at {names[0]} and {names[1]}" if any(names) else "set username_env and password_env"
            raise SourceFailed(f"{self.address} refuses the user or password ({answer.status_code}); {where}.")
        if answer.status_code >= 400:
            raise ObjectFailed(f"{self.address} does not give what was asked for (HTTP status {answer.status_code}).")

    def _read(self, answer: requests.Response, deadline: float) -> bytes:
        content = bytearray()
        while chunk := answer.raw.read1(CHUNK_BYTES, decode_content=True):  # as it comes: a trickle is noticed
            content += chunk
            if len(content) > MAX_OBJECT_BYTES:
                raise ObjectFailed(f"{self.address}: an answer is larger than {MAX_OBJECT_BYTES >> 20} MB.")
            if time.monotonic() > deadline:
                raise SourceFailed(f"{self.address} does not finish an answer within {ANSWER_S:.0f} s.")
        return bytes(content)


def _path(*uids: str) -> str:
    """Path of a study, series or instance; what a server calls a UID may hold anything."""
    levels = ("studies", "series", "instances")
    return "".join(f"/{level}/{quote(uid, safe='')}" for level, uid in zip(levels, uids, strict=False))


def _value(item: dict[str, Any], tag: str) -> str | None:
    """First value of an attribute in DICOM JSON (PS3.18 annex F)."""
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values and isinstance(values[0], str) else None


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
