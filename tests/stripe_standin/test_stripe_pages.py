"""The pages: a person pays, a person uses the dashboard, and a test in another process controls both."""

from collections.abc import Iterator

import httpx
import pytest

from support.money.stripe_shop import PRICE, StripeShop


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    """Open a browser that follows nothing by itself."""
    with httpx.Client(trust_env=False) as client:
        yield client


def test_a_person_pays(stripe_shop: StripeShop, browser: httpx.Client) -> None:
    session = stripe_shop.session(customer_email="ann@example.com")
    url = str(session.url)
    shown = browser.get(url)
    assert shown.status_code == 200
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; ")
    assert policy.endswith("form-action 'self' http://shop.test")
    assert "<script" not in shown.text
    for label in ("29.99 USD", "Standard", ">Pay<", ">Fail<", ">Pay later<", ">Cancel<", "ann@example.com"):
        assert label in shown.text
    cancelled = browser.post(url, data={"action": "cancel"})
    assert (cancelled.status_code, cancelled.headers["location"]) == (303, "http://shop.test/back")
    declined = browser.post(url, data={"action": "fail"})
    assert "Your card was declined." in declined.text
    paid = browser.post(url, data={"action": "pay", "name": "Ann", "email": "ann@example.org"})
    assert (paid.status_code, paid.headers["location"]) == (303, f"http://shop.test/done?session={session.id}")
    assert stripe_shop.charge_of(session.id).billing_details.email == "ann@example.org"
    assert browser.post(url, data={"action": "pay"}).status_code == 409
    assert "Paid." in browser.get(url).text
    assert stripe_shop.control.books().charges == (1, PRICE)


@pytest.mark.parametrize(("button", "said"), [("bank_pays", "Paid."), ("bank_refuses", "has refused")])
def test_a_person_pays_later(stripe_shop: StripeShop, browser: httpx.Client, button: str, said: str) -> None:
    url = str(stripe_shop.session().url)
    assert browser.post(url, data={"action": "pay_later"}).status_code == 303
    assert "The bank pays" in browser.get(url).text
    assert said in browser.post(url, data={"action": button}).text


def test_what_users_write_is_shown_as_text(stripe_shop: StripeShop, browser: httpx.Client) -> None:
    item = {"currency": "usd", "unit_amount": 999, "product_data": {"name": "<script>alert(1)</script>"}}
    session = stripe_shop.session(line_items=[{"price_data": item, "quantity": 1}])
    assert "&lt;script&gt;" in browser.get(str(session.url)).text


def test_pages_that_are_not_there(stripe_shop: StripeShop, browser: httpx.Client) -> None:
    assert browser.get(f"{stripe_shop.control.url}/pay/cs_test_none").status_code == 404
    assert browser.get(f"{stripe_shop.control.url}/nothing").status_code == 404
    assert browser.post(str(stripe_shop.session().url), data={"action": "rob"}).status_code == 400


def test_other_sites_cannot_send_our_forms(stripe_shop: StripeShop, browser: httpx.Client) -> None:
    session = stripe_shop.session()
    foreign = {"Sec-Fetch-Site": "cross-site"}
    for path in (f"/pay/{session.id}", "", "/_control/advance", "/onboarding/alink_1"):
        answer = browser.post(f"{stripe_shop.control.url}{path}", data={"action": "pay"}, headers=foreign)
        assert answer.status_code in (403, 405)
    assert stripe_shop.client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_everything_by_hand_at_the_dashboard(stripe_shop: StripeShop, browser: httpx.Client) -> None:
    home = stripe_shop.control.url
    charge, account = stripe_shop.paid(), stripe_shop.mechanic()

    def press(action: str, object_id: str) -> int:
        return browser.post(home, data={"action": action, "id": object_id}).status_code

    sent = stripe_shop.client.v1.transfers.create(
        params={"amount": 10, "currency": "usd", "destination": account.id, "source_transaction": charge.id}
    )
    other = stripe_shop.paid()
    assert press("add_funds", "10000") == 303
    assert press("open_dispute", other.id) == 303
    assert press("refund", other.id) == 409
    assert press("lose", stripe_shop.control.objects("dispute")[0]["id"]) == 303
    assert press("reverse", sent.id) == 303
    assert press("refund", charge.id) == 303
    assert press("restrict", account.id) == 303
    assert press("onboard", account.id) == 303
    assert press("pay_out", account.id) == 409
    assert press("nothing", account.id) == 400
    text = browser.get(home).text
    for shown in (charge.id, account.id, sent.id, "lost", "100.00 USD", "open_dispute"):
        assert (shown in text) == (shown != "open_dispute")
    assert stripe_shop.control.imbalances() == []


def test_control_from_another_process(stripe_shop: StripeShop, browser: httpx.Client) -> None:
    session = stripe_shop.session()

    def ask(name: str, **arguments: object) -> httpx.Response:
        return browser.post(f"{stripe_shop.control.url}/_control/{name}", json=arguments)

    assert ask("disturb", held=True, copies=3).json() is None
    assert ask("pay", session_id=session.id).json()["payment_status"] == "paid"
    assert ask("pending_webhooks").json() == 3
    assert [each["status"] for each in ask("release", order="shuffled").json()] == [200, 200, 200]
    assert ask("books").json()["charges"] == [1, PRICE]
    assert ask("imbalances").json() == []
    assert ask("fail", mode="cut", path="/v1/refunds").json()["struck"] == 0
    event = ask("events", kind="checkout.session.completed").json()[0]
    assert ask("signed", event_id=event["id"]).json()["signature"].startswith("t=")
    assert ask("refund", charge=stripe_shop.charge_of(session.id).id).json()["amount"] == PRICE
    assert (
        ask("refund", charge=stripe_shop.charge_of(session.id).id).json()["error"]["code"] == "charge_already_refunded"
    )
    assert ask("pay", session_id=session.id).status_code == 400
    assert ask("pay", wrong=1).status_code == 400
    assert ask("nothing").status_code == 404
    assert browser.get(f"{stripe_shop.control.url}/_control/books").status_code == 405
