"""The invariants in Python are those of the specification."""

import re
from pathlib import Path

from autodoctor.domain.invariants import INVARIANTS
from autodoctor.integrity.verify import ALL_CHECKS

SPEC = (Path(__file__).parents[2] / "SPEC.md").read_text()


def test_the_words_are_those_of_the_specification() -> None:
    rows = re.findall(r'^\| <a id="invariant-(\d+)"></a>\1 \| (.+?) \|', SPEC, re.MULTILINE)
    assert {int(number): sentence for number, sentence in rows} == INVARIANTS


def test_every_check_of_an_invariant_names_one_that_exists() -> None:
    assert {check.invariant for check in ALL_CHECKS} - {None} <= set(INVARIANTS)
