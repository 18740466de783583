"""Shares of a price: the table reads like SPEC.md#money, the properties hold for every price."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodoctor.domain.money import BASIS_POINTS, ESCALATION_BP, REFERRAL_BP, Split, share_of, split

prices = st.integers(0, 10**12)
shares = st.integers(0, BASIS_POINTS)


@pytest.mark.parametrize(
    ("amount", "basis_points", "expected"),
    [
        (999, 7000, 699),  # 699.3
        (2999, 7000, 2099),  # 2,099.3
        (4999, 7000, 3499),  # 3,499.3
        (1, 4999, 0),
        (1, 5000, 0),  # a half goes to the even neighbour
        (1, 5001, 1),
        (3, 5000, 2),  # 1.5
        (5, 5000, 2),  # 2.5
        (7, 5000, 4),  # 3.5
        (2999, REFERRAL_BP, 60),  # 59.98
        (999, REFERRAL_BP, 20),  # 19.98
        (25, REFERRAL_BP, 0),  # 0.5
        (75, REFERRAL_BP, 2),  # 1.5
        (12_350, ESCALATION_BP, 618),  # 617.5
        (0, 7000, 0),
        (2999, 0, 0),
        (2999, 10_000, 2999),
    ],
)
def test_a_share_is_rounded_half_to_even(amount: int, basis_points: int, expected: int) -> None:
    assert share_of(amount, basis_points) == expected


@pytest.mark.parametrize(
    ("price", "mechanic_bp", "referral_bp", "expected"),
    [
        (999, 7000, 0, Split(699, 0, 300)),
        (2999, 7000, 0, Split(2099, 0, 900)),
        (4999, 7000, 0, Split(3499, 0, 1500)),
        (2999, 7000, 200, Split(2099, 60, 840)),
        (2999, 9900, 200, Split(2969, 30, 0)),  # no more than the platform's share
        (2999, 10_000, 200, Split(2999, 0, 0)),
        (0, 7000, 200, Split(0, 0, 0)),
        (1, 7000, 200, Split(1, 0, 0)),
    ],
)
def test_a_price_is_split(price: int, mechanic_bp: int, referral_bp: int, expected: Split) -> None:
    assert split(price, mechanic_bp, referral_bp) == expected


@given(prices, shares)
def test_a_share_is_as_near_as_a_whole_cent_can_be(amount: int, basis_points: int) -> None:
    assert share_of(amount, basis_points) == round(Fraction(amount * basis_points, BASIS_POINTS))


@given(prices, shares, shares)
def test_the_parts_add_up_and_none_is_negative(price: int, mechanic_bp: int, referral_bp: int) -> None:
    parts = split(price, mechanic_bp, referral_bp)
    assert parts.mechanic + parts.referral + parts.platform == price
    assert min(parts.mechanic, parts.referral, parts.platform) >= 0
    assert parts.mechanic == split(price, mechanic_bp).mechanic  # the referrer takes nothing from the mechanic


@pytest.mark.parametrize(("amount", "basis_points"), [(-1, 7000), (1, -1), (1, 10_001)])
def test_what_is_no_share_is_refused(amount: int, basis_points: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        share_of(amount, basis_points)
