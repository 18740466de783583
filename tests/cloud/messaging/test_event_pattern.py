"""Event patterns match as EventBridge's do, and what is not known is refused, never ignored."""

import pytest

from localcloud.stack.cloudformation import TemplateError, Value
from localcloud.stack.event_pattern import compiled

EVENT = {
    "source": "autodoctor",
    "detail-type": "session.ended",
    "resources": ["arn:a", "arn:b"],
    "detail": {
        "status": "completed",
        "amount": 300,
        "urgent": True,
        "reason": None,
        "ip": "10.0.0.9",
        "path": "a*b",
        "parties": [{"role": "customer", "late": False}, {"role": "mechanic", "late": True}],
    },
}


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["autodoctor"]},
        {"source": ["somebody", "autodoctor"]},
        {"detail-type": [{"prefix": "session."}]},
        {"detail-type": [{"prefix": {"equals-ignore-case": "SESSION."}}]},
        {"detail-type": [{"suffix": ".ended"}]},
        {"detail-type": [{"wildcard": "*.end*"}]},
        {"detail-type": [{"equals-ignore-case": "Session.Ended"}]},
        {"detail-type": [{"anything-but": "session.created"}]},
        {"detail-type": [{"anything-but": ["session.created", "session.live"]}]},
        {"detail-type": [{"anything-but": {"prefix": "assignment."}}]},
        {"detail-type": [{"anything-but": {"wildcard": "*.queued"}}]},
        {"resources": ["arn:b"]},
        {"resources": [{"anything-but": ["arn:a"]}]},
        {"detail": {"status": ["completed"], "amount": [{"numeric": [">", 100, "<=", 300]}]}},
        {"detail": {"amount": [300.0]}},
        {"detail": {"urgent": [True]}},
        {"detail": {"reason": [None]}},
        {"detail": {"reason": [{"exists": True}]}},
        {"detail": {"absent": [{"exists": False}]}},
        {"detail": {"absent": {"deeper": [{"exists": False}]}}},
        {"detail": {"status": ["cancelled", {"exists": True}]}},
        {"detail": {"ip": [{"cidr": "10.0.0.0/24"}]}},
        {"detail": {"path": [{"wildcard": r"a\*b"}]}},
        {"detail": {"parties": {"role": ["mechanic"], "late": [True]}}},
        {"detail": {"$or": [{"status": ["cancelled"]}, {"amount": [300]}]}},
        {"$or": [{"source": ["somebody"]}, {"detail": {"urgent": [True]}}]},
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
        {"detail-type": [{"wildcard": "session"}]},
        {"detail-type": [{"anything-but": {"suffix": ".ended"}}]},
        {"detail": {"amount": ["300"]}},
        {"detail": {"amount": [{"numeric": ["<", 300]}]}},
        {"detail": {"urgent": [1]}},
        {"detail": {"urgent": [{"numeric": ["=", 1]}]}},
        {"detail": {"absent": [{"exists": True}]}},
        {"detail": {"absent": [{"anything-but": "x"}]}},
        {"detail": {"status": [{"exists": False}]}},
        {"detail": [{"exists": True}]},
        {"detail": {"parties": {"role": ["customer"], "late": [True]}}},
        {"detail": {"ip": [{"cidr": "10.0.1.0/24"}]}},
        {"detail": {"path": [{"wildcard": r"\*"}]}},
        {"detail": {"$or": [{"status": ["cancelled"]}, {"amount": [1]}]}},
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
        ({"source": [{"exists": "yes"}]}, "Rule.source"),
        ({"detail": {"amount": [{"numeric": ["~", 1]}]}}, "Rule.detail.amount"),
        ({"detail": {"ip": [{"cidr": "everywhere"}]}}, "Rule.detail.ip"),
        ({"source": [{"anything-but": {"contains": "x"}}]}, "Rule.source"),
        ({"$or": {"source": ["a"]}}, "$or"),
    ],
)
def test_refuses_what_it_does_not_know(pattern: Value, place: str) -> None:
    with pytest.raises(TemplateError, match=place.replace("$", r"\$")):
        compiled(pattern, "Rule")
