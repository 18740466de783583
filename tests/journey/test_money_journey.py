"""Money that people can follow, over HTTP from the card to the bank: what everybody is shown adds up to the cent."""

import csv
import io
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.account import Account, Caller
from support.account_settings import AccountSettings
from support.events.coming import come
from support.money.over_http import agrees, of_session, onboarded, press, sweep_until
from support.wait import wait_until

PRICE, MORE = 999, 599
"""Of the seeded plan `quick`, and of its pack of fifteen minutes."""
BY_CARD = {**INTAKE_WITH_WAIVER, "plan": "quick", "payWith": "card"}
WHY = {"reason": "not_helped", "text": "It squeals as before."}
HALF = (PRICE + MORE) // 2
"""Of the whole consultation; it is divided in proportion."""
OF_PRICE, OF_MORE = 499, 300
SHARES = 699 + 419
"""The mechanic's, of both prices: 7,000 basis points, half to even."""
HALF_SHARE = 349 + 210


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return AccountSettings(evidence="witnessed")


def paid(account: Account, checkout_url: str) -> None:
    """Pay on Stripe's page, and let Stripe tell of it."""
    account.cloud.stripe.pay(checkout_url.rpartition("/")[2])
    account.cloud.stripe.quiet()


def talked(account: Account, sockets: ExitStack, customer: Caller, mechanic: Caller) -> str:
    """The path of a session that was paid by card, extended once by card, and used up to the last pack."""
    asked = customer.post("/api/intake/start", BY_CARD, 202)
    paid(account, asked["checkoutUrl"])
    session = f"/api/sessions/{customer.get(f'/api/intakes/{asked["intakeId"]}')['sessionId']}"
    (waiting,) = mechanic.get("/api/mechanic/queue")["assignments"]
    mechanic.post(f"/api/mechanic/assignments/{waiting['assignmentId']}/accept")
    come(sockets, customer, session, "It squeals.")
    come(sockets, mechanic, session, "Since when?")
    more = {"pack": "m15", "payWith": "card"}
    extension = customer.post(f"{session}/extend", more)["extensionId"]
    mechanic.post(f"{session}/extend/{extension}/answer", {"agrees": True})
    paid(account, customer.post(f"{session}/extend", more)["checkoutUrl"])
    assert customer.get(session)["minutes"]["extended"] == 15
    account.world.let_time_pass(30 * 60 + 90)
    assert mechanic.post(f"{session}/end")["status"] == "completed"
    wait_until(lambda: customer.get(f"{session}/contest")["openUntil"])
    return session


def half_given_back(account: Account, session: str, customer: Caller, mechanic: Caller) -> None:
    """The customer contests, the mechanic answers, an admin decides that half goes back, and Stripe has it."""
    customer.post(f"{session}/contest", WHY, 201)
    mechanic.post(f"{session}/contest/answer", {"text": "They may come again."})
    admin, session_id = account.admin(), session.rpartition("/")[2]
    (case,) = admin.get("/api/admin/cases")["cases"]
    assert (case["kind"], case["sessionId"], case["cents"]) == ("contest", session_id, PRICE + MORE)
    decision = {"outcome": "part", "refundCents": HALF, "note": "Half of it was of use."}
    admin.post(f"/api/admin/sessions/{session_id}/contest/decide", decision)
    sweep_until(account, "refunds", session_id)


def documents(customer: Caller) -> list[dict[str, Any]]:
    """The customer's receipts, oldest first, each as it is printed."""
    listed = customer.get("/api/customer/receipts")["receipts"]
    return [customer.get(f"/api/receipts/{each['receiptId']}") for each in reversed(listed)]


def statement_says(mechanic: Caller) -> dict[str, Any]:
    """The statement of this month, after CSV and JSON were held against each other."""
    path = f"/api/mechanic/statements/{datetime.now(UTC):%Y-%m}"
    shown = mechanic.get(path)
    text = mechanic.send("GET", path, headers={"Accept": "text/csv"}).text
    opening, *lines, closing = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (opening["kind"], closing["kind"]) == ("opening", "closing")
    in_csv = [(each["kind"], each["text"], cents(each["payable_usd"]), cents(each["owed_usd"])) for each in lines]
    assert in_csv == [(each["kind"], each["text"], each["payableCents"], each["owedCents"]) for each in shown["lines"]]
    balances = [cents(closing[each]) for each in ("payable_balance_usd", "owed_balance_usd")]
    assert balances == [shown["closing"]["payableCents"], shown["closing"]["owedCents"]]
    return shown


def cents(dollars: str) -> int:
    return int(Decimal(dollars) * 100)


def run(account: Account, function: str) -> Any:  # noqa: ANN401 (any JSON)
    answer = account.cloud.invoke(function, {})
    assert answer.error is None, answer
    return answer.payload


def test_a_contested_session_adds_up_for_everybody(account: Account, sockets: ExitStack) -> None:
    customer, mechanic = account.customer(), onboarded(account)
    session = talked(account, sockets, customer, mechanic)
    session_id = session.rpartition("/")[2]
    half_given_back(account, session, customer, mechanic)

    found = documents(customer)
    assert [(each["kind"], each["amountCents"]) for each in found] == [
        ("receipt", PRICE),
        ("receipt", MORE),
        ("credit_note", OF_PRICE),
        ("credit_note", OF_MORE),
    ]
    assert sum(each["amountCents"] for each in found[2:]) == HALF
    assert [each["corrects"] for each in found[2:]] == [each["number"] for each in found[:2]]
    assert all(sum(line["amountCents"] for line in each["lines"]) == each["amountCents"] for each in found)
    charged = [(each["amount"], each["amount_refunded"]) for each in account.cloud.stripe.objects("charge")]
    assert charged == [(PRICE, OF_PRICE), (MORE, OF_MORE)]

    sweep_until(account, "payouts", session_id)
    shown = statement_says(mechanic)
    assert [(each["kind"], each["payableCents"]) for each in shown["totals"]] == [
        ("session", SHARES),
        ("returned", -HALF_SHARE),
        ("payout", HALF_SHARE - SHARES),
    ]
    assert {each["sessionId"] for each in shown["lines"]} == {session_id}
    assert (shown["closing"], shown["waiting"]) == ({"payableCents": 0, "owedCents": 0}, [])
    assert sum(each["amount"] for each in account.cloud.stripe.objects("transfer")) == SHARES - HALF_SHARE

    press(account, "open_dispute", of_session(account, "charge", session_id)["id"])
    run(account, "PayoutsFunction")
    (case,) = account.admin().get("/api/admin/cases")["cases"]
    assert (case["kind"], case["sessionId"], case["answered"]) == ("dispute", session_id, True)
    evidence = account.admin().get(f"/api/admin/disputes/{case['evidenceId']}")
    staged = of_session(account, "dispute", session_id)
    assert (evidence["state"], evidence["proves"], evidence["gaps"]) == ("staged", True, [])
    assert staged["evidence_details"]["submission_count"] == 0
    said = staged["evidence"]
    assert "the consultation was extended by 15 more minutes" in said["access_activity_log"]
    assert "an admin decided that a part of it goes back" in said["refund_refusal_explanation"]
    assert f"$4.99 went back (credit note {found[2]['number']})" in said["uncategorized_text"]
    for each in evidence["documents"]:
        assert account.cloud.stripe.file(said[each["field"]]).startswith(b"%PDF-")
    assert {each["field"] for each in evidence["documents"]} == {
        "receipt",
        "customer_communication",
        "customer_signature",
    }

    assert agrees(account)
    # time was let pass: of what the relay has not published yet, nobody was told for half an hour
    wait_until(lambda: run(account, "VerifyFunction") == {"complete": True, "findings": {}})
    compared = run(account, "ReconcileFunction")
    assert (compared["finished"], compared["counts"]) == (True, {})
