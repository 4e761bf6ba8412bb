"""The examples of the documentation, read as a user would copy them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support import paths
from support.small_site import KEY, make_site, rows, run, write
from typer.testing import CliRunner

from ingest.site.config import load_site
from orchestration.cli import app

PRODUCT = paths.ROOT
OPERATIONS = PRODUCT / "docs/operations/README.md"
# The contract names commands that are not built yet, and marks them.
PAGES = [
    PRODUCT / "README.md",
    *sorted(page for page in (PRODUCT / "docs").rglob("*.md") if page.parent.name != "contract"),
]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")

Block = tuple[str, str]


def blocks(page: Path) -> list[Block]:
    """Language and text of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def yaml_examples() -> list[str]:
    return [text for page in PAGES for language, text in blocks(page) if language == "yaml"]


def commands() -> list[str]:
    """Each line of a page that calls ``doseledger``, in a block or within a sentence, without its comment."""
    lines = []
    for page in PAGES:
        in_blocks = [line for _, text in blocks(page) for line in text.splitlines()]
        inline = re.findall(r"`(doseledger [a-z][^`]*)`", page.read_text("utf-8"))
        lines += [line.split(" #")[0].strip() for line in [*in_blocks, *inline]]
    return [line for line in lines if re.match(r"(\S*/)?doseledger [a-z]", line)]


def test_the_examples_are_found() -> None:
    assert len(yaml_examples()) >= 1
    assert len(commands()) >= 15


def test_each_link_to_a_file_finds_it() -> None:
    pages = [*PRODUCT.glob("*.md"), *(PRODUCT / "docs").rglob("*.md"), *PRODUCT.glob("*/README.md")]
    links = [
        (page, target) for page in pages for target in LINK.findall(page.read_text("utf-8")) if "://" not in target
    ]
    assert len(links) >= 50
    assert not [
        f"{page.relative_to(PRODUCT)}: {target}" for page, target in links if not (page.parent / target).exists()
    ]


def test_the_first_screen_of_the_readme_is_short() -> None:
    assert len((PRODUCT / "README.md").read_text("utf-8").splitlines()) <= 60


@pytest.mark.parametrize("text", yaml_examples())
def test_a_yaml_example_is_a_legal_file_of_a_site(tmp_path: Path, text: str) -> None:
    """One that names a source_id is a source description; every other one is part of a site.yaml."""
    root = make_site(tmp_path)
    if found := re.search(r"^source_id: (\w+)", text, re.MULTILINE):
        write(root, f"sources/{found[1]}.yaml", text)
    else:
        write(root, "site.yaml", f"site_id: small\n{text}" if "site_id" not in text else text)
    assert load_site(root)


def test_the_source_of_the_guide_reads_an_export_that_looks_like_it_says(tmp_path: Path) -> None:
    (text,) = [text for language, text in blocks(OPERATIONS) if language == "yaml"]
    root = make_site(tmp_path)
    write(root, "sources/cath_rates.yaml", text)
    row = "B1;05.03.2024;10:00:00;3,6;BASE-01;Ana;80"
    export = "\n".join(["Export", "of", "March", "Badge;Date;Time;Rate;Base;Name;Battery", row, ""])
    write(root, "inbox/dosimeters/cath_rates/day.csv", export.encode("cp1252"))
    run(root)
    query = (
        "select dosimeter_serial, value_usv::double, rows_rejected from raw.dose_record join raw.file using (load_seq)"
    )
    assert rows(root, query) == [("B1", 0.001, 0)]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_command_is_one_that_there_is(line: str) -> None:
    """Parsed by the command line itself, which then shows its help: names of commands and of options."""
    words = shlex.split(re.sub(r"\s[|>;&].*", "", line))[1:]
    result = CliRunner(env=KEY).invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Exit codes" in result.output


def test_another_option_would_be_found() -> None:
    assert CliRunner().invoke(app, ["run", "--sight", "x", "--help"]).exit_code != 0
    assert CliRunner().invoke(app, ["walk", "--help"]).exit_code != 0
