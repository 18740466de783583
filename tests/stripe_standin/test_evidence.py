"""Evidence of disputes: files, staging, and the one submission, within Stripe's limits."""

import io

import pytest
import stripe

from support.money.stripe_shop import StripeShop

PDF = b"%PDF-1.7\r\n\r\n--\r\n\xff"


def upload(shop: StripeShop, content: bytes = PDF, name: str = "receipt.pdf") -> stripe.File:
    file = io.BytesIO(content)
    file.name = name
    return shop.client.v1.files.create(params={"purpose": "dispute_evidence", "file": file})


def disputed(shop: StripeShop) -> str:
    return str(shop.control.open_dispute(shop.paid().id)["id"])


def test_a_file_is_kept_byte_for_byte(stripe_shop: StripeShop) -> None:
    made = upload(stripe_shop)
    assert (made.filename, made.size, made.type) == ("receipt.pdf", len(PDF), "pdf")
    assert stripe_shop.client.v1.files.retrieve(made.id).to_dict() == made.to_dict()
    assert stripe_shop.control.file(made.id) == PDF


@pytest.mark.parametrize("content", [b"", b"<html>", PDF + bytes(5_000_000)], ids=["empty", "html", "large"])
def test_a_file_that_no_bank_reads_is_refused(stripe_shop: StripeShop, content: bytes) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        upload(stripe_shop, content)
    assert refused.value.param == "file"


def test_the_same_key_takes_the_same_file_only(stripe_shop: StripeShop) -> None:
    options: stripe.RequestOptions = {"idempotency_key": "file-1"}
    files = stripe_shop.client.v1.files

    def send(content: bytes) -> str:
        return files.create(params={"purpose": "dispute_evidence", "file": io.BytesIO(content)}, options=options).id

    assert send(PDF) == send(PDF)
    with pytest.raises(stripe.IdempotencyError):
        send(PDF + b".")


def test_evidence_is_staged_often_and_submitted_once(stripe_shop: StripeShop) -> None:
    disputes, dispute = stripe_shop.client.v1.disputes, disputed(stripe_shop)
    with pytest.raises(stripe.InvalidRequestError, match="no evidence"):
        disputes.update(dispute, params={"submit": True})
    receipt = upload(stripe_shop).id
    disputes.update(dispute, params={"evidence": {"receipt": receipt, "service_date": "today"}, "submit": False})
    staged = disputes.update(dispute, params={"evidence": {"service_date": ""}, "submit": False})
    assert (staged.status, staged.evidence.to_dict()) == ("needs_response", {"receipt": receipt})
    assert (staged.evidence_details.has_evidence, staged.evidence_details.submission_count) == (True, 0)
    sent = disputes.update(dispute, params={"submit": True})
    assert (sent.status, sent.evidence_details.submission_count, sent.evidence_details.past_due) == (
        "under_review",
        1,
        False,
    )
    for again in ({"submit": True}, {"evidence": {"uncategorized_text": "more"}, "submit": False}):
        with pytest.raises(stripe.InvalidRequestError, match="already been submitted"):
            disputes.update(dispute, params=again)  # type: ignore[arg-type]


def test_evidence_after_its_time_is_past_due(stripe_shop: StripeShop) -> None:
    dispute = disputed(stripe_shop)
    stripe_shop.control.advance(8 * 24 * 3600)
    sent = stripe_shop.client.v1.disputes.update(dispute, params={"evidence": {"uncategorized_text": "late"}})
    assert sent.evidence_details.past_due


def test_evidence_has_limits(stripe_shop: StripeShop) -> None:
    disputes, dispute = stripe_shop.client.v1.disputes, disputed(stripe_shop)
    texts = ["access_activity_log", "cancellation_rebuttal", "product_description", "refund_policy_disclosure"]
    texts += ["refund_refusal_explanation", "uncategorized_text", "shipping_address", "billing_address"]
    large = [upload(stripe_shop, PDF + bytes(2_400_000)).id for _number in range(2)]
    wrong: list[dict[str, str]] = [
        {"access_activity_log": "x" * 20_001},
        dict.fromkeys(texts, "x" * 20_000),
        {"receipt": "file_none"},
        {"receipt": large[0], "customer_communication": large[1]},
        {"opinion": "they lie"},
    ]
    for evidence in wrong:
        with pytest.raises(stripe.InvalidRequestError):
            disputes.update(dispute, params={"evidence": evidence, "submit": False})  # type: ignore[arg-type]
    assert not disputes.retrieve(dispute).evidence_details.has_evidence
    stripe_shop.control.close_dispute(dispute)
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        disputes.update(dispute, params={"evidence": {"uncategorized_text": "x"}})
