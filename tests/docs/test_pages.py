"""Every page of documentation: its commands exist, its links lead somewhere, its tables are tables.

What the pages claim beyond that is held by the tests of what they describe. The log and the
changelog tell of the past and are not looked at.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from relevance.cli import make_app

ROOT = Path(__file__).parents[2]
PAST = ("docs/log.md", "CHANGELOG.md")
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    if str(page.relative_to(ROOT)) not in PAST
)
COMMAND = re.compile(r"(?<![\w/.-])ellm((?: +[^\s`|;&)→]+)+)")
OPTION = re.compile(r"[\[(]*(--[a-z][a-z0-9-]*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
TARGET = re.compile(r"(?:`|^)make ([a-z-]+)", re.MULTILINE)
RULE = re.compile(r"\|[ :|-]+\|")

pytestmark = pytest.mark.parametrize("page", PAGES)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ellm() -> Any:
    return typer.main.get_command(make_app())


def options_of(command: Any) -> set[str]:
    words = (word for option in command.params for word in (*option.opts, *option.secondary_opts))
    return {*words, "--help", "--debug"}


def faults_of(words: list[str], ellm: Any) -> Iterator[str]:
    """What of `ellm WORDS` is not there; prose after the command's name is let pass."""
    command, named = ellm, 0
    while named < len(words) and (word := words[named].removeprefix("--")) in getattr(
        command, "commands", {}
    ):
        command, named = command.commands[word], named + 1
    rest = words[named:]
    takes_a_word = named == 0 or (hasattr(command, "commands") and not command.params)
    if takes_a_word and rest and re.fullmatch(r"[a-z][a-z-]+", rest[0]):
        yield f"no command: ellm {' '.join(words[: named + 1])}"
    for option in filter(None, map(OPTION.match, rest)):
        if option[1] not in options_of(command):
            yield f"no option {option[1]}: ellm {' '.join(words[:named])}"


def slug(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_its_commands_exist_with_these_options(page: str, ellm: Any) -> None:
    text = read(page).replace("\\\n", " ")
    faults = [
        fault for found in COMMAND.finditer(text) for fault in faults_of(found[1].split(), ellm)
    ]

    assert faults == []


def test_its_make_targets_exist(page: str) -> None:
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(TARGET.findall(read(page))) <= set(known)


def test_its_links_lead_somewhere(page: str) -> None:
    """To a file that is there, and to a heading that is in it."""
    broken = []
    for link in LINK.findall(read(page)):
        path, _, anchor = link.partition("#")
        if path.startswith(("http:", "https:")):
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        if not target.exists() or (anchor and anchor not in map(slug, headings)):
            broken.append(link)

    assert broken == []


def test_the_rows_of_its_tables_have_as_many_cells_as_their_head(page: str) -> None:
    """A table whose head and rule differ is not shown as one."""
    lines = [line.replace(r"\|", "") for line in read(page).splitlines()]
    uneven = []
    for at, line in enumerate(lines):
        if RULE.fullmatch(line) and lines[at - 1].startswith("|"):
            end = next((n for n in range(at, len(lines)) if lines[n][:1] != "|"), len(lines))
            rows = lines[at - 1 : end]
            uneven += [row for row in rows if row.count("|") != line.count("|")]

    assert uneven == []
