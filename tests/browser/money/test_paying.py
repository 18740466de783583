"""A person buys a session in a browser, at the stand-in's page, and a mechanic finds it in the queue."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE, INTAKE_WITH_WAIVER
from localcloud.stripe.pages.control import StripeControl
from support.account import Account, Caller
from support.browser.window import Camera, Windows
from support.events.sent_mails import kinds_to

BY_CARD = {**INTAKE_WITH_WAIVER, "plan": "quick", "payWith": "card"}


@pytest.fixture
def stripe(account: Account) -> Iterator[StripeControl]:
    """The Stripe of the account."""
    control = account.cloud.stripe
    control.set_retries(first=0.1, longest=0.5)
    yield control
    control.quiet()


def asked(customer: Caller, **fields: object) -> tuple[str, str]:
    """An intake by card: its id, and where it is paid."""
    answer = customer.post("/api/intake/start", {**BY_CARD, **fields}, 202)
    return answer["intakeId"], answer["checkoutUrl"]


def press(page: Page, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).click()


def back_at_our_site(page: Page, intake_id: str, query: str = "") -> None:
    expect(page).to_have_title("AutoDoctor")
    expect(page.get_by_role("paragraph")).to_have_text(f"/intakes/{intake_id}{query}")


def status(customer: Caller, intake_id: str) -> str:
    found: str = customer.get(f"/api/intakes/{intake_id}")["status"]
    return found


def in_queue(account: Account, session_id: str) -> list[dict[str, Any]]:
    shown = account.mechanic().get("/api/mechanic/queue", limit="100")["assignments"]
    return [each for each in shown if each["sessionId"] == session_id]


def test_a_session_that_is_paid_reaches_the_queue(
    account: Account, stripe: StripeControl, page: Page, camera: Camera
) -> None:
    intake_id, url = asked(customer := account.customer())
    page.goto(url)
    expect(page.get_by_text("9.99 USD").first).to_be_visible()
    camera.take(page, "to be paid")
    page.get_by_label("E-mail").fill("cora@example.com")
    page.get_by_label("Name on card").fill("Cora Castillo")
    press(page, "Pay")
    back_at_our_site(page, intake_id)
    stripe.quiet()
    assert status(customer, intake_id) == "paid"
    assert in_queue(account, intake_id)[0]["status"] == "queued"
    page.goto(url)
    expect(page.get_by_text("Paid.")).to_be_visible()


def test_a_card_that_is_declined_may_be_tried_again(
    account: Account, stripe: StripeControl, page: Page, camera: Camera
) -> None:
    intake_id, url = asked(customer := account.customer())
    page.goto(url)
    press(page, "Fail")
    expect(page.get_by_role("alert")).to_contain_text("declined")
    camera.take(page, "declined")
    stripe.quiet()
    assert status(customer, intake_id) == "open"
    press(page, "Pay")
    back_at_our_site(page, intake_id)
    stripe.quiet()
    assert in_queue(account, intake_id)


@pytest.mark.parametrize(
    ("answer", "result", "said"),
    [("The bank pays", "paid", "Paid."), ("The bank refuses", "failed", "The bank has refused the payment.")],
)
def test_a_bank_that_takes_days_is_waited_for(  # noqa: PLR0913, PLR0917 (the fixtures, and what the bank says)
    account: Account, stripe: StripeControl, page: Page, camera: Camera, answer: str, result: str, said: str
) -> None:
    address = f"{new_id()}@example.com"
    intake_id, url = asked(customer := account.caller("customers", email=address), email=address)
    page.goto(url)
    press(page, "Pay later")
    back_at_our_site(page, intake_id)
    stripe.quiet()
    assert (status(customer, intake_id), in_queue(account, intake_id)) == ("processing", [])
    refused = customer.send("POST", "/api/intake/start", INTAKE)
    assert (refused.status_code, refused.json()["intakeId"]) == (409, intake_id)
    page.goto(url)
    camera.take(page, "the bank has not answered")
    press(page, answer)
    expect(page.get_by_text(said)).to_be_visible()
    stripe.quiet()
    assert status(customer, intake_id) == result
    assert bool(in_queue(account, intake_id)) is (result == "paid")
    mails = ["payment_received", "request_received"] if result == "paid" else ["payment_failed"]
    assert sorted(kinds_to(account, address, len(mails))) == mails


def test_who_cancels_may_come_back(account: Account, stripe: StripeControl, page: Page) -> None:
    intake_id, url = asked(customer := account.customer())
    page.goto(url)
    press(page, "Cancel")
    back_at_our_site(page, intake_id, "?cancelled")
    assert status(customer, intake_id) == "open"
    assert asked(customer) == (intake_id, url)
    page.go_back()
    press(page, "Pay")
    back_at_our_site(page, intake_id)
    stripe.quiet()
    assert status(customer, intake_id) == "paid"


def test_a_page_left_open_closes_once_its_customer_has_a_free_session(
    account: Account, page: Page, camera: Camera
) -> None:
    intake_id, url = asked(customer := account.customer())
    customer.post("/api/intake/start", INTAKE, 201)
    assert account.cloud.invoke("CheckoutFunction", {}).error is None
    assert status(customer, intake_id) == "expired"
    page.goto(url)
    expect(page.get_by_text("has expired")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    camera.take(page, "expired")


def test_who_pays_it_before_is_told_of_the_refund(account: Account, stripe: StripeControl, page: Page) -> None:
    address = f"{new_id()}@example.com"
    intake_id, url = asked(customer := account.caller("customers", email=address), email=address)
    page.goto(url)
    customer.post("/api/intake/start", {**INTAKE, "email": address}, 201)
    press(page, "Pay")
    back_at_our_site(page, intake_id)
    stripe.quiet()
    assert status(customer, intake_id) == "unfulfillable"
    assert sorted(kinds_to(account, address, 2)) == ["payment_unfulfillable", "request_received"]
    told = {each["kind"]: each for each in customer.get("/api/notifications")["notifications"]}
    assert told["payment_unfulfillable"]["intakeId"] == intake_id
    assert "$9.99 is refunded in full" in told["payment_unfulfillable"]["text"]


def test_the_page_reads_well_on_a_phone_in_the_dark(account: Account, windows: Windows) -> None:
    _intake_id, url = asked(account.customer())
    page = windows.open(phone=True, dark=True)
    page.goto(url)
    for label in ("Pay", "Fail", "Pay later", "Cancel"):
        expect(page.get_by_role("button", name=label, exact=True)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
