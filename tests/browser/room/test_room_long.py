"""A room of ten thousand messages: it opens at the newest, scrolls to the first, and the page stays small."""

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, say
from support.browser.meeting import messages, met
from support.browser.window import Camera, Windows

MANY = 10_000
MOST_IN_THE_PAGE = 300
FILL = """
INSERT INTO session_messages (session_id, seq, role, mechanic_id, kind, text, client_id, at)
SELECT s.id, r.latest + n, p.role, CASE WHEN p.role = 'mechanic' THEN s.mechanic_id END, 'text', 'Line ' || n,
       gen_random_uuid(), clock_timestamp() - interval '1 second' * (%(many)s - n)
  FROM sessions s JOIN rooms r ON r.session_id = s.id, generate_series(1, %(many)s) AS n,
       LATERAL (SELECT CASE WHEN n %% 3 = 0 THEN 'mechanic' ELSE 'customer' END AS role) AS p
 WHERE s.id = %(session_id)s
"""
LATEST = """
UPDATE rooms SET latest = (SELECT max(seq) FROM session_messages m WHERE m.session_id = rooms.session_id)
"""
WALK = """async (list) => {
  const seen = new Set();
  const most = { items: 0 };
  const note = () => {
    const items = [...list.querySelectorAll('ol.messages > li[data-seq]')];
    most.items = Math.max(most.items, items.length);
    const numbers = items.map((each) => Number(each.dataset.seq));
    numbers.forEach((each, index) => {
      if (index && each !== numbers[index - 1] + 1) throw new Error(`${numbers[index - 1]} then ${each}`);
      seen.add(each);
    });
  };
  for (let still = 0; still < 200 && !seen.has(1); ) {
    const before = seen.size;
    list.scrollTop = 0;
    await new Promise((resolve) => setTimeout(resolve, 20));
    note();
    still = seen.size === before ? still + 1 : 0;
  }
  return { seen: seen.size, most: most.items, first: seen.has(1) };
}"""

BEYOND = """() => {
  const root = document.documentElement;
  return [root.scrollWidth - root.clientWidth, root.scrollHeight - root.clientHeight];
}"""


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def in_the_page(page: Page) -> int:
    """How many messages the page holds now."""
    return messages(page).locator("li[data-seq]").count()


def test_ten_thousand_messages_scroll(account: Account, windows: Windows, camera: Camera) -> None:
    meeting = met(account, windows)
    customer = meeting.customer
    account.world.owner.execute(FILL, {"many": MANY, "session_id": meeting.session_id})
    account.sql(
        "UPDATE rooms SET latest = (SELECT max(seq) FROM session_messages m WHERE m.session_id = rooms.session_id)"
    )
    customer.reload()
    expect(messages(customer).get_by_text(f"Line {MANY}", exact=True)).to_be_in_viewport()
    assert in_the_page(customer) <= MOST_IN_THE_PAGE
    walked = messages(customer).evaluate(WALK)
    assert walked["first"]
    assert walked["seen"] >= MANY
    assert walked["most"] <= MOST_IN_THE_PAGE
    camera.take(customer, "the first")
    assert customer.evaluate(BEYOND) == [0, 0]  # only the messages scroll
    say(meeting.mechanic, "Still there?")
    newest = customer.get_by_role("button", name="1 new message")
    expect(newest).to_be_visible()
    camera.take(customer, "something new below")
    newest.click()
    expect(messages(customer).get_by_text("Still there?", exact=True)).to_be_in_viewport()
    assert in_the_page(customer) <= MOST_IN_THE_PAGE
