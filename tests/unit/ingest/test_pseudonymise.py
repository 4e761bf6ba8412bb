"""The key: where it comes from, what it refuses, and that its hashes tell patients apart and tell nothing else."""

from __future__ import annotations

import hashlib
import hmac
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pseudonymise import Key, KeyRefused, load_key

SECRET = "0123456789abcdef0123456789abcdef"
PLACEHOLDERS = ["ANONYMOUS", "0"]


def test_the_environment_comes_before_the_file_and_the_file_before_the_sites_own(tmp_path: Path) -> None:
    named = tmp_path / "named.key"
    named.write_text("f" * 32 + "\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "DOSELEDGER_KEY_FILE": str(named)}
    assert load_key("hcx", environ).secret == b"f" * 32
    assert load_key("hcx", environ | {"DOSELEDGER_KEY": SECRET}).secret == SECRET.encode()
    assert not (tmp_path / "doseledger").exists()


def test_without_a_key_one_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    made, found = load_key("hcx", environ), load_key("hcx", environ)
    path = tmp_path / "config/doseledger/hcx.key"
    assert made.origin is not None
    assert str(path) in made.origin
    assert made.secret.decode() not in made.origin
    assert (found.origin, found.secret) == (None, made.secret)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert load_key("other", environ).secret != made.secret


@pytest.mark.parametrize("config", ["", "relative/folder"])
def test_a_config_home_that_is_not_absolute_counts_as_unset(tmp_path: Path, config: str) -> None:
    load_key("hcx", {"HOME": str(tmp_path), "XDG_CONFIG_HOME": config})
    assert (tmp_path / ".config/doseledger/hcx.key").exists()


def test_processes_that_make_the_key_at_once_agree_on_one(tmp_path: Path) -> None:
    keys: list[bytes] = []
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    threads = [threading.Thread(target=lambda: keys.append(load_key("hcx", environ).secret)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize(("key", "what"), [("", "empty"), ("   \n", "empty"), ("fifteen letters", "too short")])
def test_an_empty_or_short_key_is_refused_without_showing_it(key: str, what: str) -> None:
    with pytest.raises(KeyRefused) as error:
        load_key("hcx", {"DOSELEDGER_KEY": key})
    assert what in str(error.value)
    assert "fifteen" not in str(error.value)


def test_a_key_file_that_cannot_be_read_or_made_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="cannot be read"):
        load_key("hcx", {"DOSELEDGER_KEY_FILE": str(tmp_path / "nowhere")})
    (tmp_path / "doseledger").write_text("a file where a folder should be")
    with pytest.raises(KeyRefused, match="No pseudonymisation key can be made"):
        load_key("hcx", {"XDG_CONFIG_HOME": str(tmp_path)})


def test_a_patient_key_is_the_keyed_hash_of_the_contract() -> None:
    key = load_key("hcx", {"DOSELEDGER_KEY": SECRET})
    expected = hmac.new(SECRET.encode(), b"patient\x1fHCX\x1f4711", hashlib.sha256).hexdigest()
    assert key.patient_key("HCX", " 4711 ", PLACEHOLDERS) == expected
    assert key.patient_key(None, "4711", PLACEHOLDERS) != expected


@pytest.mark.parametrize("patient_id", [None, "", "  ", "ANONYMOUS", " anonymous ", "0"])
def test_empty_and_placeholder_ids_have_no_key(patient_id: str | None) -> None:
    assert Key(SECRET.encode()).patient_key("HCX", patient_id, PLACEHOLDERS) is None


def test_nothing_that_is_shown_holds_the_key() -> None:
    key = Key(SECRET.encode())
    assert SECRET not in repr(key) + str(key) + key.key_id + key.path_key(b"a")
    assert key.key_id == Key(SECRET.encode()).key_id != Key(b"another key of enough bytes").key_id


@given(*[st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1)] * 2, st.binary(min_size=16))
def test_patients_issuers_and_keys_are_told_apart(one: str, other: str, secret: bytes) -> None:
    key = Key(SECRET.encode())
    assert (key.patient_key("", one, []) == key.patient_key("", other, [])) == (one == other)
    assert (key.patient_key(one, "x", []) == key.patient_key(other, "x", [])) == (one == other)
    assert key.patient_key(one, other, []) != key.patient_key(None, one + other, [])
    if secret != key.secret:
        assert Key(secret).patient_key("", one, []) != key.patient_key("", one, [])
