"""The console while a bank takes days: sessions and credits, in this tab, hidden, and opened again."""

import re
from collections import Counter
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, described, hide, signed_in
from support.browser.requests import unanswered
from support.browser.window import Camera, Windows

UNDER_WAY = "Your payment is under way"


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def paid_later(page: Page, concern: str, plan: str = "Quick") -> str:
    """Ask for a session and pay it through a bank that takes its time; returns Stripe's id of the payment."""
    described(page, concern)
    page.get_by_label(plan).check()
    page.get_by_role("button", name="Continue").click()
    return bank_chosen(page)


def bank_chosen(page: Page) -> str:
    """At Stripe's page; returns its id."""
    page.get_by_role("button", name="Pay later").wait_for()
    session_id = urlsplit(page.url).path.rpartition("/")[2]
    page.get_by_role("button", name="Pay later").click()
    return session_id


def calls(page: Page) -> Counter[str]:
    """The routes that the page asks from now on, with how often."""
    seen: Counter[str] = Counter()

    def asked(request: Request) -> None:
        path = urlsplit(request.url).path
        if path.startswith("/api/"):
            seen[re.sub(r"[0-9a-f-]{36}", "ID", path)] += 1

    page.on("request", asked)
    return seen


def pass_seconds(page: Page, seconds: int) -> None:
    """Let the page's clock run, and its answers come in between, however long they take."""
    requests = unanswered(page)
    for _ in range(seconds * 2):
        page.clock.run_for(500)
        page.wait_for_timeout(15)
        while requests:
            page.wait_for_timeout(15)


def test_a_bank_is_waited_for_without_haste_and_told_of_in_every_tab(
    account: Account, windows: Windows, camera: Camera
) -> None:
    page = signed_in(account, windows.open(phone=True), "Cora Castillo")
    page.clock.install()
    payment = paid_later(page, "It hums.")
    expect(page.get_by_role("heading", name=UNDER_WAY)).to_be_visible()
    expect(page.locator("#intake")).to_have_count(0)
    camera.take(page, "under way")
    seen = calls(page)
    pass_seconds(page, 100)
    assert 3 <= seen.pop("/api/intakes/ID") <= 5
    assert seen.pop("/api/customer/active-session") <= 4  # the banner's
    assert not seen
    hide(page, hidden=True)
    pass_seconds(page, 100)
    assert not seen

    other = page.context.new_page()
    windows.troubles.watch(other)
    signed_in(account, other, "Cora Castillo")
    expect(other.get_by_role("heading", name=UNDER_WAY)).to_be_visible()
    expect(other.locator("#intake")).to_have_count(0)
    account.cloud.stripe.bank_answers(payment)
    expect(other.get_by_role("heading", name="Finding you a mechanic")).to_be_visible()
    hide(page, hidden=False)
    expect(page.get_by_role("heading", name="Finding you a mechanic")).to_be_visible()
    page.get_by_role("button", name="Cancel this request").click()
    page.get_by_role("button", name="Cancel the request").click()
    expect(page.get_by_text("the payment goes back to your card")).to_be_visible()


def came_late(account: Account, page: Page, concern: str) -> None:
    """The bank pays four days after the page was left."""
    payment = paid_later(page, concern)
    expect(page.get_by_role("heading", name=UNDER_WAY)).to_be_visible()
    account.sql(
        "UPDATE checkouts SET processing_since = processing_since - interval '4 days',"
        "                     expires_at = expires_at - interval '4 days' WHERE stripe_session_id = %s",
        payment,
    )
    account.cloud.stripe.bank_answers(payment)
    expect(page.get_by_role("heading", name="Your payment came through")).to_be_visible()


def test_who_paid_four_days_ago_says_when_to_start(account: Account, windows: Windows, camera: Camera) -> None:
    page = signed_in(account, windows.open(phone=True), "Cora Castillo")
    came_late(account, page, "It rattles.")
    camera.take(page, "came late")
    page.get_by_role("button", name="Start now").click()
    expect(page.get_by_role("heading", name="Finding you a mechanic")).to_be_visible()
    page.get_by_role("button", name="Cancel this request").click()
    page.get_by_role("button", name="Cancel the request").click()
    expect(page.get_by_text("the payment goes back to your card")).to_be_visible()


def test_who_paid_four_days_ago_has_it_back(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Cyrus Chen")
    came_late(account, page, "It hisses.")
    page.get_by_role("button", name="Have it back").click()
    expect(page.get_by_text("It is on its way back to your card.")).to_be_visible()
    expect(page.locator("#intake")).to_be_visible()


def test_a_bank_that_refuses_is_told_of_on_coming_back(account: Account, windows: Windows, camera: Camera) -> None:
    page = signed_in(account, windows.open(), "Cyrus Chen")
    payment = paid_later(page, "It knocks.")
    expect(page.get_by_role("heading", name=UNDER_WAY)).to_be_visible()
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_text("Nothing new yet.")).to_be_visible()
    hide(page, hidden=True)
    account.cloud.stripe.bank_answers(payment, paid=False)
    account.cloud.stripe.quiet()
    hide(page, hidden=False)
    expect(page.get_by_role("alert")).to_have_text("The bank refused the payment. Nothing was charged.")
    expect(page.get_by_label("Describe what it does")).to_have_value("It knocks.")
    camera.take(page, "refused")


def test_who_asks_again_on_another_device_is_told_what_is_under_way(account: Account, windows: Windows) -> None:
    first = signed_in(account, windows.open(), "Clara Costa")
    second = signed_in(account, windows.open(), "Clara Costa")
    payment = paid_later(first, "It squeaks.")
    expect(first.get_by_role("heading", name=UNDER_WAY)).to_be_visible()
    described(second, "It squeaks, I said.")
    second.get_by_label("Free").check()
    second.get_by_role("button", name="Ask now").click()
    expect(second.get_by_role("heading", name=UNDER_WAY)).to_be_visible()
    windows.troubles.expect("409")
    account.cloud.stripe.bank_answers(payment, paid=False)
    account.cloud.stripe.quiet()
    second.reload()
    expect(second.get_by_role("alert")).to_contain_text("The bank refused the payment.")


def test_a_payment_that_stripe_has_not_told_of_is_being_confirmed(
    account: Account, windows: Windows, camera: Camera
) -> None:
    page = signed_in(account, windows.open(), "Somebody new")
    account.cloud.stripe.disturb(held=True)
    described(page, "It ticks.")
    page.get_by_label("Quick").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_role("heading", name="Confirming your payment …")).to_be_visible()
    expect(page.locator("#intake")).to_have_count(0)
    camera.take(page, "being confirmed")
    page.get_by_role("link", name="Back to your request").click()
    expect(page.get_by_role("alert")).to_have_text("The payment was not finished.")
    expect(page.get_by_label("Describe what it does")).to_have_value("It ticks.")
    page.go_back()
    expect(page.get_by_role("heading", name="Confirming your payment …")).to_be_visible()
    account.cloud.stripe.clear_faults()
    expect(page.get_by_role("heading", name="Finding you a mechanic")).to_be_visible()


@pytest.mark.parametrize("paid", [True, False], ids=["paid", "refused"])
def test_credits_are_under_way_until_the_bank_has_answered(
    account: Account, windows: Windows, camera: Camera, *, paid: bool
) -> None:
    page = signed_in(account, windows.open(phone=True, dark=True), "Somebody new")
    page.get_by_role("link", name="Credits").click()
    page.get_by_role("button", name="Buy").first.click()
    payment = bank_chosen(page)
    expect(page.get_by_role("heading", name=re.compile(r"Your payment for \d+ credits is under way"))).to_be_visible()
    expect(page.locator("#balance")).to_have_text("0")
    camera.take(page, "credits under way")
    page.reload()
    expect(page.get_by_role("heading", name=re.compile("is under way"))).to_be_visible()
    if not paid:
        hide(page, hidden=True)
    seen = calls(page)
    account.cloud.stripe.bank_answers(payment, paid=paid)
    if paid:
        expect(page.get_by_text(re.compile(r"^\d+ credits added\.$"))).to_be_visible()
        expect(page.locator("#balance")).not_to_have_text("0")
    else:
        account.cloud.stripe.quiet()
        page.wait_for_timeout(2_000)  # longer than until the first look of a page that is seen
        assert not seen
        hide(page, hidden=False)
        expect(page.get_by_text(re.compile("^Your bank refused your payment"))).to_be_visible()
        expect(page.locator("#balance")).to_have_text("0")
    expect(page.locator("#payment")).to_have_count(0)
    camera.take(page, "the bank has answered")


def test_credits_by_card_are_there_at_once(account: Account, windows: Windows) -> None:
    page = signed_in(account, windows.open(), "Somebody new")
    page.get_by_role("link", name="Credits").click()
    page.get_by_role("button", name="Buy").first.click()
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_text(re.compile(r"^\d+ credits added\.$"))).to_be_visible()
    page.get_by_role("button", name="Buy").first.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#balance")).not_to_have_text("0")
    expect(page.locator("#payment")).to_have_count(0)
