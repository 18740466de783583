"""Receipts over HTTP: whose they are, and as what they are answered."""

import base64
import re
import zlib
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from support.http.lambda_event import Answer, Handler, call, claims, event, loaded
from support.money.refund_env import PRICE, RefundEnv

LIST = "GET /api/customer/receipts"
ONE = "GET /api/receipts/{receiptId}"


@pytest.fixture
def documents(refund_env: RefundEnv) -> Handler:  # noqa: ARG001 (its environment)
    """Give the test the function that answers documents."""
    handler: Handler = loaded("documents").handler
    return handler


@pytest.fixture
def customer(refund_env: RefundEnv) -> UUID:
    """A customer who paid, and got it back."""
    session_id = refund_env.cancelled()
    refund_env.refunds()
    return refund_env.customer(session_id)


def listed(handler: Handler, user_id: UUID) -> list[dict[str, object]]:
    answer = call(handler, event(LIST, caller=claims(sub=str(user_id))))
    assert answer.status == 200
    found: list[dict[str, object]] = answer.json["receipts"]
    return found


def one(handler: Handler, user_id: UUID, receipt_id: object, groups: str = "[customers]", **asked: str) -> Answer:
    """One document, in the format of `accept` or of `form`."""
    headers = {"accept": asked["accept"]} if "accept" in asked else {}
    query = {"format": asked["form"]} if "form" in asked else {}
    caller = claims(groups, sub=str(user_id))
    return call(handler, event(ONE, caller=caller, path={"receiptId": str(receipt_id)}, query=query, headers=headers))


def test_a_customer_sees_their_own_and_nobody_elses(documents: Handler, customer: UUID) -> None:
    back, paid = listed(documents, customer)
    assert (back["corrects"], paid["amountCents"]) == (paid["number"], PRICE)
    assert one(documents, customer, paid["receiptId"]).json["issuer"] == "AutoDoctor"
    stranger = new_id()
    assert listed(documents, stranger) == []
    for wanted in (paid["receiptId"], new_id(), "7"):
        assert one(documents, stranger, wanted).status == 404
    assert one(documents, stranger, paid["receiptId"], "[admins]").status == 200
    assert one(documents, customer, paid["receiptId"], "[mechanics]").status == 403


def test_it_is_printable_html_where_that_is_asked_for(
    documents: Handler, customer: UUID, refund_env: RefundEnv
) -> None:
    refund_env.checkout_env.world.owner.execute("UPDATE customers SET name = 'Cora <b>Castillo</b>'")
    back, paid = listed(documents, customer)
    answer = one(documents, customer, back["receiptId"], accept="text/html,application/xhtml+xml;q=0.9")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for words in (f"Credit note {back['number']}", "$9.99", f"for receipt {paid['number']}", "&lt;b&gt;Castillo"):
        assert words in answer.text
    assert "<script" not in answer.text
    assert one(documents, customer, back["receiptId"], form="html").text == answer.text
    assert one(documents, customer, back["receiptId"], form="xml").pointers == ["/format"]


@pytest.mark.parametrize(("name", "printed"), [("Cora Castillo", True), ("Łucja Żak", False)])
def test_it_is_a_pdf_where_that_is_asked_for(
    documents: Handler, customer: UUID, refund_env: RefundEnv, name: str, *, printed: bool
) -> None:
    refund_env.checkout_env.world.owner.execute("UPDATE customers SET name = %s", [name])
    back, _ = listed(documents, customer)
    answer = one(documents, customer, back["receiptId"], accept="application/pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert f"credit_note-{back['number']}.pdf" in answer.headers["content-disposition"]
    text = words_of(base64.b64decode(answer.text))
    assert f"Credit note {back['number']}" in text
    assert text.count("$9.99") == 3  # the line, the total, and the receipt that it is for
    assert (f"For {name}" in text) is printed


def words_of(pdf: bytes) -> list[str]:
    """What a PDF of ours says, string by string."""
    assert pdf.startswith(b"%PDF-1.7")
    streams = [found for found in re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL) if b"Tj" in found]
    if not streams:
        packed = re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL)
        streams = [found for each in packed if b"Tj" in (found := zlib.decompress(each))]
    return [
        bytes.fromhex(each.decode()).decode("cp1252") for each in re.findall(rb"<([0-9a-f]*)> Tj", b"".join(streams))
    ]
