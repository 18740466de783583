"""What the session's page says of its reader, of what the plan has, and of what more minutes cost."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings
from support.browser.meeting import asked, messages, met
from support.browser.window import Windows

WORDS = """async ([extensions, together]) => {
  const { endingNow, included } = await import('/console/js/session/words.js');
  const terms = { priceCents: 999, currency: 'usd', credits: 1, includedMinutes: 30, minBillableSeconds: 60 };
  const extended = extensions.some(({ status }) => status === 'running') ? 15 : 0;
  const session = { terms, funding: 'card', minutes: { extended, extensions } };
  return [endingNow(session, together, true, false), included(session, together)];
}"""
BILL = """async (settled) => {
  const { over } = await import('/console/js/session/over.js');
  const paid = { payWith: 'card', priceCents: 599, currency: 'usd', credits: 1 };
  const extension = { ...paid, status: 'running', minutes: 15, settled };
  const session = {
    endedAt: '2026-11-02T12:00:00Z', reason: 'billable', funding: 'card', durationSeconds: 2000, endedBy: 'customer',
    counterpartName: 'Mia', sessionId: 'a'.repeat(36), vehicle: {}, minutes: { extended: 15, extensions: [extension] },
    terms: { priceCents: 999, currency: 'usd', credits: 1, includedMinutes: 30, minBillableSeconds: 60 },
  };
  const parts = over(session, { isMechanic: true, contest: null }, { refresh() {} });
  return parts.find((each) => each?.matches?.('.bill')).innerText;
}"""


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


@pytest.fixture
def console(account: Account, page: Page) -> Page:
    """A page of the console, whose modules can be imported."""
    page.goto(f"{account.cloud.api_url}/console/index.html")
    return page


def running(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (fields of an extension)
    """15 more minutes that were paid for by card."""
    paid = {"status": "running", "minutes": 15, "payWith": "card", "priceCents": 599, "currency": "usd", "credits": 1}
    return paid | changes


def test_nobody_is_told_of_themselves_as_of_somebody_else(account: Account, windows: Windows) -> None:
    customer = windows.open(phone=True)
    asked(account, customer)
    expect(customer.get_by_text("While you wait")).to_be_visible()
    customer.reload()
    at_stage(customer, "searching")
    expect(messages(customer).get_by_text("The customer")).to_have_count(0)
    customer.get_by_role("button", name="Cancel this request").click()
    customer.get_by_role("button", name="Cancel the request").click()
    at_stage(customer, "over")
    expect(messages(customer).get_by_text("You ended the consultation.")).to_be_visible()
    customer.get_by_role("link", name="Messages").click()
    customer.get_by_role("link", name="See the session").first.click()
    at_stage(customer, "over")


def test_a_call_is_offered_where_the_plan_has_video_and_nowhere_else(account: Account, windows: Windows) -> None:
    meeting = met(account, windows)
    expect(meeting.customer.get_by_role("button", name="Start video")).to_be_visible()
    account.world.owner.execute("UPDATE plans SET session_types = '{chat}' WHERE code = 'free'")
    try:
        for page in (meeting.customer, meeting.mechanic):
            page.reload()
            expect(page.get_by_role("button", name="End session")).to_be_visible()
            page.evaluate("import('/console/js/call/medium.js').then(({ hasMedium }) => hasMedium())")
            expect(page.get_by_role("button", name="Start video")).to_be_hidden()
    finally:
        account.world.owner.execute("UPDATE plans SET session_types = '{chat,video,diagnostic}' WHERE code = 'free'")


@pytest.mark.parametrize(
    ("extensions", "together", "words"),
    [
        ([], 192, ["It counts: $9.99.", "of 30:00 included"]),
        ([running(status="lapsed")], 192, ["It counts: $9.99.", "of 30:00 included"]),
        ([running()], 192, ["It counts: $9.99, and $5.99 if you use the 15 more minutes.", "of 45:00 agreed"]),
        (
            [running(payWith="credit")],
            2701,
            ["It counts: $9.99, and 1 credit if you use the 15 more minutes.", "45:00 are over"],
        ),
    ],
    ids=["none", "lapsed", "card", "credit"],
)
def test_more_minutes_are_part_of_what_it_costs(
    console: Page, extensions: list[dict[str, Any]], together: int, words: list[str]
) -> None:
    assert console.evaluate(WORDS, [extensions, together]) == words


@pytest.mark.parametrize(
    ("settled", "cost"),
    [
        (None, "$5.99, given back if they were not used"),
        ("pay", "$5.99"),
        ("refund", "nothing ($5.99 given back)"),
    ],
)
def test_the_bill_has_the_minutes_that_were_added(console: Page, settled: str | None, cost: str) -> None:
    assert f"15 more minutes{cost}" in console.evaluate(BILL, settled).replace("\n", "")
