"""Singular and plural of counted things."""

import pytest

from autodoctor.plural import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 findings"), (1, "1 finding"), (2, "2 findings"), (2000, "2,000 findings")]
)
def test_a_number_of_things(number: int, said: str) -> None:
    assert counted(number, "finding") == said


def test_what_several_are_called_may_be_another_word() -> None:
    assert [counted(number, "ledger row", "ledger rows") for number in (1, 2)] == ["1 ledger row", "2 ledger rows"]
