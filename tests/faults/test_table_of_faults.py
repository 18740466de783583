"""The table of the faults is true: each line names tests that there are, and no line is missing."""

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
COUNTS: Final = {"M": 20, "S": 6, "R": 4, "E": 2, "Q": 2, "L": 5, "T": 2, "O": 15}


def rows() -> dict[str, str]:
    """What the table says, by fault."""
    text = (TESTS / "faults/README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([A-Z]\d+) \| (.+) \|$", text, re.MULTILINE))


def test_every_fault_has_its_line() -> None:
    assert set(rows()) == {f"{letter}{number + 1}" for letter, count in COUNTS.items() for number in range(count)}


def test_every_line_names_tests_that_there_are() -> None:
    for fault, said in rows().items():
        named = re.findall(r"`([^`]+)::([^`]+)`", said)
        assert named or said.startswith("none yet: "), fault
        for file, test in named:
            assert f"def {test}(" in (TESTS / file).read_text(encoding="utf-8"), (fault, test)
