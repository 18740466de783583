"""How fast a call is, and what it costs this machine. The figures are printed: `-n 0 -s -m slow`, with this file."""

import time
from dataclasses import replace
from pathlib import Path
from statistics import quantiles

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.calls import joins, sees
from support.browser.console import console_settings
from support.browser.meeting import Meeting, met
from support.browser.window import Windows

pytestmark = pytest.mark.slow

CALLS = 20
WATCHED_MS = 20_000
PATIENCE_MS = 30_000
FIRST_FRAME = """([name, patience]) => new Promise((resolve, reject) => {
  const began = performance.now();
  setTimeout(() => reject(new Error('no frame')), patience);
  [...document.querySelectorAll('dialog button')].find((each) => each.textContent === 'Join').click();
  const look = () => {
    const picture = document.querySelector(`video[aria-label="Picture of ${name}"]:not([hidden])`);
    if (picture?.videoWidth && picture.currentTime > 0) resolve(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})"""


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def first_frame(page: Page, other: str, button: str) -> float:
    """Join and leave again; gives the milliseconds from the press in the preview to the other's first frame."""
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Join", exact=True)).to_be_enabled()
    took: float = page.evaluate(FIRST_FRAME, [other, PATIENCE_MS])
    return took


def resident() -> float:
    """The megabytes that this process has in memory: the local cloud is one of its threads."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * 4096 / 1e6


def load(page: Page) -> float:
    """The part of a processor that this process uses while nothing is asked of it but the call."""
    began = time.process_time()
    page.wait_for_timeout(WATCHED_MS)
    return (time.process_time() - began) / (WATCHED_MS / 1000)


def shown(what: str, values: list[float], unit: str) -> float:
    """Print median and 99th percentile; gives the median."""
    hundredths = quantiles(values, n=100, method="inclusive")
    print(f"\n{what}: p50 {hundredths[49]:.0f} {unit}, p99 {hundredths[98]:.0f} {unit} (n={len(values)})")
    return hundredths[49]


def evidenced(account: Account, meeting: Meeting) -> list[float]:
    """The milliseconds from each coming, by the media server's clock, to its row of evidence."""
    rows = account.world.owner.execute(
        "SELECT extract(epoch FROM recorded_at - since) * 1000 AS took FROM session_presence"
        " WHERE session_id = %s AND source = 'medium'",
        [meeting.session_id],
    )
    return [float(row["took"]) for row in rows]


def test_a_call_begins_soon_and_is_evidence_soon(account: Account, windows: Windows, others: Windows) -> None:
    meeting = met(account, windows, others=others)
    idle, before = load(meeting.customer), resident()
    joins(meeting.mechanic)
    took = []
    for number in range(CALLS):
        took.append(first_frame(meeting.customer, "Mia Moreno", "Join"))
        if number < CALLS - 1:
            meeting.customer.get_by_role("button", name="Leave call").click()
            expect(meeting.mechanic.get_by_text("Waiting for Cora Castillo …")).to_be_visible()
    sees(meeting.mechanic, "Cora Castillo")
    busy, after = load(meeting.customer), resident()
    median = shown("press to first frame", took, "ms")
    evidence = shown("coming to evidence", evidenced(account, meeting), "ms")
    print(
        f"the media server: {(busy - idle) * 100:.0f} % of a processor a call, {after - before:.0f} MB with the first"
    )
    assert median < 5000
    assert evidence < 5000
