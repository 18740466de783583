"""An admin reads the evidence of a dispute, edits it, and sends it: once, and nothing but what was read."""

from typing import Any, LiteralString

import pytest

from autodoctor.contests.cases import cases
from autodoctor.disputes.cases import DisputeCase, EvidenceRequest, dispute_case, document, write_evidence
from autodoctor.disputes.errors import EvidenceBusy, EvidenceChanged, EvidenceNotFound, EvidenceOver
from autodoctor.ids import new_id
from support.money.disputed import at_stripe, evidence, held, sweep
from support.money.refund_env import RefundEnv

ADMIN = new_id()


@pytest.fixture
def disputed(refund_env: RefundEnv) -> RefundEnv:
    """A dispute whose evidence is staged."""
    refund_env.dispute(held(refund_env))
    sweep(refund_env)
    return refund_env


def seen(env: RefundEnv) -> DisputeCase:
    return dispute_case(env.checkout_env.world.app, evidence(env)["id"])


def asked(shown: DisputeCase, *, send: bool = False, **texts: str) -> EvidenceRequest:
    body = {"version": shown.version, "texts": {**shown.texts.model_dump(by_alias=True), **texts}, "send": send}
    return EvidenceRequest.model_validate(body)


def write(env: RefundEnv, request: EvidenceRequest) -> DisputeCase:
    return write_evidence(env.checkout_env.world.app, ADMIN, evidence(env)["id"], request)


def changes(env: RefundEnv) -> list[tuple[Any, ...]]:
    rows = env.checkout_env.world.owner.execute("SELECT * FROM admin_changes ORDER BY id").fetchall()
    return [(row["kind"], row["actor_id"], row["changed"], row["before"], row["after"]) for row in rows]


def test_an_admin_edits_and_sends(disputed: RefundEnv) -> None:
    app, before = disputed.checkout_env.world.app, seen(disputed)
    (case,) = cases(app, {}).cases
    assert (case.kind, case.evidence_id, case.session_id, case.answered) == (
        "dispute",
        before.evidence_id,
        before.session_id,
        True,
    )
    edited = write(disputed, asked(before, uncategorizedText="They talked for long.", customerEmailAddress=""))
    assert (edited.version, edited.state, edited.texts.customer_email_address) == (2, "due", "")
    sweep(disputed)
    assert at_stripe(disputed)["evidence"]["uncategorized_text"] == "They talked for long."
    assert "customer_email_address" not in at_stripe(disputed)["evidence"]
    sending = asked(seen(disputed), send=True)
    assert write(disputed, sending).sends
    assert write(disputed, sending).sends  # the same again changes nothing
    assert cases(app, {}).cases == []
    sweep(disputed)
    sent = seen(disputed)
    assert (sent.state, sent.sent_by, at_stripe(disputed)["evidence_details"]["submission_count"]) == ("sent", ADMIN, 1)
    assert changes(disputed) == [
        ("dispute_evidence.changed", ADMIN, ["customer_email_address", "uncategorized_text"], {}, {}),
        ("dispute_evidence.sent", ADMIN, ["sends"], {}, {}),
    ]
    with pytest.raises(EvidenceOver):
        write(disputed, asked(sent, uncategorizedText="More."))


def test_a_document_is_what_stripe_has(disputed: RefundEnv) -> None:
    app, shown = disputed.checkout_env.world.app, seen(disputed)
    assert [each.field for each in shown.documents] == ["customer_communication", "customer_signature", "receipt"]
    file = disputed.checkout_env.stripe.file(at_stripe(disputed)["evidence"]["receipt"])
    assert document(app, shown.evidence_id, "receipt").body == file
    for evidence_id, field in ((shown.evidence_id, "opinion"), (new_id(), "receipt")):
        with pytest.raises(EvidenceNotFound):
            document(app, evidence_id, field)


def test_what_was_not_read_is_not_sent(disputed: RefundEnv) -> None:
    old = seen(disputed)
    write(disputed, asked(old, uncategorizedText="Of another admin."))
    with pytest.raises(EvidenceChanged):
        write(disputed, asked(old, send=True))
    assert not evidence(disputed)["sends"]


@pytest.mark.parametrize(
    "state", ["state = 'sending', lease_id = new_id()", "state = 'due', sends = true, sent_by = new_id()"]
)
def test_it_is_left_alone_while_it_is_sent(disputed: RefundEnv, state: LiteralString) -> None:
    shown = seen(disputed)
    with disputed.checkout_env.world.without_triggers() as connection:
        connection.execute("UPDATE dispute_evidence SET " + state)
    with pytest.raises(EvidenceBusy):
        write(disputed, asked(shown, uncategorizedText="More."))


def test_there_is_none(refund_env: RefundEnv) -> None:
    unknown = new_id()
    request = EvidenceRequest.model_validate({"version": 1, "texts": {}})
    with pytest.raises(EvidenceNotFound):
        write_evidence(refund_env.checkout_env.world.app, ADMIN, unknown, request)
