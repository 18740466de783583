"""DECISIONS.md stays a searchable log: numbered, indexed, each entry in its three parts."""

import re
from pathlib import Path
from typing import Final

TEXT: Final = (Path(__file__).parents[2] / "DECISIONS.md").read_text()
INDEX: Final = TEXT.partition("## Index\n")[2].partition("<a id=")[0]
ENTRY: Final = re.compile(
    r'<a id="d(\d+)"></a>\n## D\1 \S[^\n]*\n\n'
    r"\d{4}-\d\d-\d\d(?:\. \*\*Superseded by \[D(\d+)\]\(#d\2\)\.\*\*)?\n\n"
    r"- \*\*Chosen\.\*\* \S[^\n]*\n- \*\*Considered\.\*\* \S[^\n]*\n- \*\*Decided by\.\*\* \S[^\n]*\n"
)


def test_entries_are_numbered_without_a_gap_and_have_their_three_parts() -> None:
    assert [int(entry[1]) for entry in ENTRY.finditer(TEXT)] == [*range(1, TEXT.count("\n## D") + 1)]


def test_the_index_has_every_entry() -> None:
    assert {int(number) for number in re.findall(r"\[D(\d+)\]\(#d\1\)", INDEX)} == {
        int(entry[1]) for entry in ENTRY.finditer(TEXT)
    }


def test_what_is_superseded_is_marked_in_the_index_too_and_by_something_newer() -> None:
    superseded = {int(entry[1]): int(entry[2]) for entry in ENTRY.finditer(TEXT) if entry[2]}
    assert {int(number) for number in re.findall(r"\(#d(\d+)\) [^;|]* \(superseded\)", INDEX)} == set(superseded)
    assert all(newer > older for older, newer in superseded.items())
