"""SPEC.md agrees with the code, wherever the two can be compared."""

import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, get_args

from autodoctor.domain.invariants import INVARIANTS
from autodoctor.domain.lifecycle import ASSIGNMENT_MOVES, SESSION_MOVES
from autodoctor.events import model
from autodoctor.integrity.verify import ALL_CHECKS
from autodoctor.migrations import schema_files

ROOT: Final = Path(__file__).parents[2]
SPEC: Final = (ROOT / "SPEC.md").read_text()
SQL: Final = "".join(file.read_text() for file in schema_files())


def section(heading: str) -> str:
    """The text between a heading and the next one."""
    return re.split(r"^#+ ", SPEC.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def quoted(text: str) -> list[str]:
    """The words in backticks, without those in parentheses."""
    return re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", text))


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of each row of a section's tables, without their heads."""
    for line in section(heading).splitlines():
        if line.startswith(("| `", "| <a")):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def moves(heading: str) -> dict[str, set[str]]:
    """The table of states: what each may become."""
    return {state: set(quoted(cells[2])) for cells in rows(heading) for state in quoted(cells[0])}


def as_text[State: StrEnum](table: Mapping[State, frozenset[State]]) -> dict[str, set[str]]:
    """The same of Python's table."""
    return {str(source): {str(target) for target in targets} for source, targets in table.items()}


def test_the_states_move_as_in_python() -> None:
    assert moves("Session states") == as_text(SESSION_MOVES)
    assert moves("Assignment states") == as_text(ASSIGNMENT_MOVES)


def test_the_invariants_have_their_words_and_every_check_names_one_that_exists() -> None:
    said = {int(re.sub(r"<.*>", "", cells[0])): cells[1] for cells in rows("Invariants") if cells[0].startswith("<a")}
    assert said == INVARIANTS
    assert {check.invariant for check in ALL_CHECKS} - {None} <= set(INVARIANTS)


def test_every_refusal_of_the_schema_is_listed() -> None:
    listed = {quoted(cells[0])[0] for cells in rows("Invariants") if cells[0].startswith("`AD")}
    assert listed == set(re.findall(r"ERRCODE = '(AD\d+)'", SQL))


def test_the_settings_have_the_defaults_of_the_schema() -> None:
    listed = {
        key: default.strip("`")
        for cells in rows("Settings")
        for key, default in zip(quoted(cells[0]), cells[1].split(", "), strict=True)
    }
    statements = re.findall(r"INSERT INTO settings \(key, value\) VALUES(.*?);", SQL, re.DOTALL)
    stored = {key: value for each in statements for key, value in re.findall(r"\('(\w+)', '([^']*)'\)", each)}
    fallbacks = dict(re.findall(r"(?:FROM settings WHERE key = |seconds_setting\()'(\w+)'\)?, (\d+)\)", SQL))
    assert stored.items() | fallbacks.items() <= listed.items()


def test_the_events_are_those_on_the_bus() -> None:
    listed = set()
    subject = ""
    for name in quoted(section("Events").partition("Detail-types:")[2].partition("Their fields")[0]):
        subject = name.partition(".")[0] or subject
        listed.add(f"{subject}.{name.partition('.')[2]}")
    types = {annotation for each in model.MODELS if (annotation := each.model_fields["type"].annotation)}
    assert listed == {name for each in types for name in get_args(getattr(each, "__value__", each))}


def test_the_paths_are_those_of_the_api() -> None:
    document = json.loads((ROOT / "functions/docs/openapi.json").read_text())
    named = set(re.findall(r"`(?:[A-Z]+`, `)?(?:[A-Z]+ )?(/api/[^`.+ ]+)(?:\.\.\.)?`", SPEC))
    assert len(named) > 30
    assert named <= set(document["paths"])


def test_the_functions_and_columns_it_names_exist() -> None:
    code = SQL + "".join(path.read_text() for path in (ROOT / "layers/shared/autodoctor").rglob("*.py"))
    functions = set(re.findall(r"`(\w+)\(\)`", SPEC))
    names = set(re.findall(r"`(?:\w+\.)?([a-z]+(?:_[a-z]+)+)`", SPEC))
    retired = {"end_session_with_semantics"}
    assert [name for name in functions if not re.search(rf"\b(?:FUNCTION|def) {name}\b", code)] == []
    assert [name for name in names - retired if not re.search(rf"\b{name}\b", code)] == []
