"""The bench's verdicts: ratios against targets, and machines too noisy for timings."""

import pytest

from bench.measure.judge import Row, Target, Verdict, drift, noise, percentile, spread

QUIET = [100.0, 101.0, 99.0, 100.0, 102.0, 98.0]


@pytest.mark.parametrize(
    ("target", "measured", "reference", "verdict"),
    [
        (Target(1.5), 150, 100, Verdict.MET),
        (Target(1.5), 151, 100, Verdict.MISSED),
        (Target(0.5, at_least=True), 50, 100, Verdict.MET),
        (Target(0.5, at_least=True), 49, 100, Verdict.MISSED),
        (Target(2, on_ratio=False), 2, None, Verdict.MET),
        (Target(2, on_ratio=False), 3, None, Verdict.MISSED),
        (Target(1.5), None, 100, Verdict.MISSED),
        (Target(1.5), 150, 0, Verdict.MISSED),
        (None, 150, 100, Verdict.SHOWN),
    ],
)
def test_a_bound_is_kept_up_to_its_last_value(
    target: Target | None, measured: float | None, reference: float | None, verdict: Verdict
) -> None:
    assert Row("row", "ms", measured, reference, target=target).verdict is verdict


def test_only_a_gated_miss_fails_the_run() -> None:
    missed = Target(1.0)
    assert Row("row", "", 2, 1, target=missed, gated=True).fails_the_run
    assert not Row("row", "", 2, 1, target=missed).fails_the_run
    assert not Row("row", "", 1, 1, target=missed, gated=True).fails_the_run


def test_a_refused_row_has_no_other_verdict() -> None:
    row = Row("row", "ms", 9, 1, target=Target(1.0), gated=True, refused="noisy")
    assert row.verdict is Verdict.REFUSED
    assert not row.fails_the_run


def test_a_target_reads_as_it_is_meant() -> None:
    assert str(Target(1.5)) == "≤ 1.50x"
    assert str(Target(0.5, at_least=True)) == "≥ 0.50x"
    assert str(Target(2, on_ratio=False)) == "≤ 2"


def test_a_quiet_machine_is_believed() -> None:
    assert noise(QUIET, busy=0.05) == ""


@pytest.mark.parametrize(
    ("floor", "busy", "why"),
    [
        (QUIET, 0.5, "others used 50%"),
        ([100, 130, 100, 130, 100, 130], 0.0, "differs from itself by 26%"),
        ([100, 101, 160, 161, 99, 100, 158, 162], 0.0, "spread over"),
    ],
)
def test_a_noisy_machine_is_refused_with_its_reason(floor: list[float], busy: float, why: str) -> None:
    assert why in noise(floor, busy)


def test_one_outlier_is_no_noise() -> None:
    assert noise([*QUIET, 1000.0, 100.0, 99.0, 101.0], busy=0.0) == ""


def test_too_few_rounds_have_no_spread() -> None:
    assert spread([1.0, 9.0, 5.0]) == 0
    assert drift([1.0]) == 0


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_one_of_the_samples(share: float, expected: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected
