"""Event patterns match as EventBridge's do; unknown operators are refused, never ignored."""

import pytest

from localcloud.stack.cloudformation import TemplateError, Value
from localcloud.stack.event_pattern import compiled

# What EventBridge knows besides.
OTHERS = ("anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "suffix", "wildcard")

EVENT = {
    "source": "autodoctor",
    "detail-type": "session.ended",
    "resources": ["arn:a", "arn:b"],
    "detail": {
        "status": "completed",
        "amount": 300,
        "urgent": True,
        "reason": None,
        "parties": [{"role": "customer", "late": False}, {"role": "mechanic", "late": True}],
    },
}


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["autodoctor"]},
        {"source": ["somebody", "autodoctor"]},
        {"detail-type": [{"prefix": "session."}]},
        {"resources": ["arn:b"]},
        {"resources": [{"prefix": "arn:"}]},
        {"detail": {"status": ["completed"], "amount": [300]}},
        {"detail": {"amount": [300.0]}},
        {"detail": {"urgent": [True]}},
        {"detail": {"reason": [None]}},
        {"detail": {"absent": [{"exists": False}]}},
        {"detail": {"absent": [True, {"exists": False}]}},
        {"detail": {"urgent": [True, {"exists": False}]}},
        {"detail": {"parties": {"role": ["mechanic"], "late": [True]}}},
    ],
)
def test_matches(pattern: Value) -> None:
    assert compiled(pattern, "Rule")(EVENT)


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["AutoDoctor"]},
        {"source": ["autodoctor"], "detail-type": ["session.created"]},
        {"detail-type": [{"prefix": "assignment."}]},
        {"detail": {"amount": ["300"]}},
        {"detail": {"urgent": [1]}},
        {"detail": {"amount": [{"prefix": "3"}]}},
        {"detail": {"absent": [None]}},
        {"detail": {"urgent": [{"exists": False}]}},
        {"detail": {"urgent": [False, {"exists": False}]}},
        {"detail": {"absent": {"deeper": ["x"]}}},
        {"source": {"deeper": ["autodoctor"]}},
        {"detail": {"parties": {"role": ["customer"], "late": [True]}}},
    ],
)
def test_does_not_match(pattern: Value) -> None:
    assert not compiled(pattern, "Rule")(EVENT)


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ({}, "Rule"),
        ({"source": "autodoctor"}, "Rule.source"),
        ({"detail": {"status": []}}, "Rule.detail.status"),
        ({"source": [{"contains": "doctor"}]}, "contains"),
        ({"source": [{"prefix": 1}]}, "Rule.source"),
        ({"source": [{"prefix": "auto", "suffix": "doctor"}]}, "Rule.source"),
        *(({"source": [{operator: ["x"]}]}, f"Rule.source: .*{operator}") for operator in OTHERS),
        ({"$or": [{"source": ["autodoctor"]}]}, "does not know $or"),
    ],
)
def test_refuses_what_it_does_not_know(pattern: Value, place: str) -> None:
    with pytest.raises(TemplateError, match=place.replace("$", r"\$")):
        compiled(pattern, "Rule")
