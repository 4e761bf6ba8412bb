"""nginx and Apache of Debian for tests: on loopback, without rights, with what Debian's own configuration loads.

As root they run as www-data; elsewhere as the account of the tests. What is expected of an answer is the tests'.
"""

from __future__ import annotations

import base64
import http.client
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin"
PACKAGES = {"nginx": "nginx-light", "apache": "apache2"}
PROGRAMS = {"nginx": shutil.which("nginx", path=PLACES), "apache": shutil.which("apache2", path=PLACES)}
HTPASSWD = shutil.which("htpasswd")
IS_ROOT = os.geteuid() == 0
ACCOUNT = "www-data"

# As Debian's nginx.conf, and with a cache of open files, which the pages must be free of.
NGINX = """\
daemon off;
pid {folder}/server.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    gzip on;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 60s;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {configuration};
}}
"""
# With Debian's modules and what they allow by themselves: /icons/, /cgi-bin/, /server-status to the own machine.
APACHE = """\
ServerName localhost
PidFile {folder}/server.pid
ErrorLog {folder}/error.log
Mutex file:{folder} default
IncludeOptional /etc/apache2/mods-enabled/*.load
IncludeOptional /etc/apache2/mods-enabled/*.conf
Include /etc/apache2/mods-available/headers.load
Include /etc/apache2/mods-available/socache_shmcb.load
Include /etc/apache2/mods-available/ssl.load
Include /etc/apache2/mods-available/proxy.load
Include /etc/apache2/mods-available/proxy_http.load
IncludeOptional /etc/apache2/conf-enabled/*.conf
<Directory /usr/share>
    AllowOverride None
    Require all granted
</Directory>
Include {configuration}
"""


def needs(server: str) -> None:
    """Skips a test where the server is missing; in CI that is a failure."""
    programs = {PACKAGES[server]: PROGRAMS[server], "apache2-utils": HTPASSWD}
    if missing := [package for package, program in programs.items() if program is None]:
        message = f"{server} is not installed (Debian: {', '.join(missing)})"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@contextmanager
def readable_folder() -> Iterator[Path]:
    """A temporary folder that the server's account may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


def give(folder: Path, *, is_owner: bool = True) -> None:
    """Gives a folder and all that is in it to the server's account, or only to its group."""
    if IS_ROOT:
        account = pwd.getpwnam(ACCOUNT)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, account.pw_uid if is_owner else 0, account.pw_gid, follow_symlinks=False)


def write_passwords(file: Path, passwords: dict[str, str]) -> None:
    """Writes the password file as docs/operations/web.md says, with the least work for bcrypt."""
    assert HTPASSWD
    file.touch(mode=0o644)
    for login, password in passwords.items():
        subprocess.run([HTPASSWD, "-iB", "-C", "4", file, login], input=password, text=True, check=True)


def write_certificate(certificate: Path, key: Path) -> None:
    """Writes a certificate of this machine that nobody else vouches for, and its key."""
    names = ["-subj", "/CN=dose.hospital.example", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *made, *names], check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Visitor:
    """One connection that is kept, with the same login and password in each request; by TLS with a certificate."""

    def __init__(
        self, port: int, login: str | None = None, password: str | None = None, certificate: Path | None = None
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        if certificate:
            trust = ssl.create_default_context(cafile=certificate)
            self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=trust)
        code = base64.b64encode(f"{login}:{password}".encode()).decode()
        self._headers = {} if login is None else {"Authorization": f"Basic {code}"}

    def get(self, path: str, method: str = "GET") -> Answer:
        """An answer; the path is sent as it is, whatever it holds."""
        try:
            return self._answer(path, method)
        except (http.client.RemoteDisconnected, ConnectionError):  # it was idle for longer than the server keeps it
            self._connection.close()
            return self._answer(path, method)

    def _answer(self, path: str, method: str) -> Answer:
        self._connection.request(method, path, headers=self._headers)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


@contextmanager
def running(server: str, folder: Path, configuration: Path, port: int) -> Iterator[None]:
    """A running server that has read a configuration; its own files are below ``folder``."""
    needs(server)
    folder.mkdir()
    give(folder)
    main = folder / "main.conf"
    main.write_text({"nginx": NGINX, "apache": APACHE}[server].format(folder=folder, configuration=configuration))
    main.chmod(0o644)
    program = str(PROGRAMS[server])
    options = {"nginx": ["-e", str(folder / "error.log"), "-c", str(main)], "apache": ["-f", str(main), "-DFOREGROUND"]}
    environment = os.environ | dict.fromkeys(("APACHE_RUN_DIR", "APACHE_LOG_DIR", "APACHE_LOCK_DIR"), str(folder))
    process = _start([program, *options[server]], environment)
    try:
        _wait(process, folder, port)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _start(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    account: dict[str, Any] = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []} if IS_ROOT else {}
    return subprocess.Popen(command, env=environment, cwd="/", **account)


def _wait(process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    log = folder / "error.log"
    raise AssertionError(log.read_text("utf-8", "replace")[-3000:] if log.exists() else "the server did not start")
