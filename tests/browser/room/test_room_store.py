"""What the session's page knows of a room, and what it sends: in whatever order and however often things arrive."""

from typing import Any

import pytest
from playwright.sync_api import Page

from support.account import Account

DELIVERIES = """async (seed) => {
  const { Room } = await import('/console/js/room/store.js');
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const below = (most) => Math.floor(random() * (most + 1));
  const message = (seq) => ({ seq, role: 'customer', kind: 'text', text: `${seq}`, at: '2026-11-30T00:00:00Z' });
  const range = (first, last) => Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => message(first + at));
  const room = new Room();
  const shown = [];
  room.addEventListener('change', ({ detail }) => shown.push(...detail.appended.map(({ seq }) => seq)));
  const total = 1 + below(40);
  const stored = below(total);
  const page = range(Math.max(1, stored - below(9)), stored);
  const pushed = range(stored + 1, total).filter(() => random() < 0.8);
  for (const each of [...pushed]) if (random() < 0.3) pushed.push(each);
  pushed.sort(() => random() - 0.5);
  const early = pushed.splice(0, below(2));
  for (const each of early) room.push(each);
  room.absorb({ messages: page, latest: stored, read: {} });
  for (const each of pushed) room.push(each);
  let calls = 0;
  const absorb = (first, last) => room.absorb({ messages: range(first, last), latest: total });
  while (room.lacks && calls++ < 100) absorb(room.last + 1, Math.min(total, room.last + 7));
  const lacking = room.lacks;
  while (room.hasOlder && calls++ < 200) absorb(Math.max(1, room.first - 6), room.first - 1);
  const heard = Math.max(stored, ...[...early, ...pushed].map(({ seq }) => seq));
  const all = Array.from({ length: room.last }, (_, index) => room.at(index + 1)?.seq);
  return { shown, start: page[0]?.seq ?? stored + 1, last: room.last, heard, lacking, all };
}"""


@pytest.fixture
def console(account: Account, page: Page) -> Page:
    page.goto(f"{account.cloud.api_url}/console/index.html")
    return page


def test_messages_are_shown_once_in_order_and_without_a_gap_however_they_come(console: Page) -> None:
    for seed in range(1, 400):
        seen: dict[str, Any] = console.evaluate(DELIVERIES, seed * 7919)
        assert seen["shown"] == list(range(seen["start"], seen["last"] + 1)), seed
        assert seen["last"] >= seen["heard"], seed
        assert not seen["lacking"], seed
        assert seen["all"] == list(range(1, seen["last"] + 1)), seed


ANOTHER_MECHANIC = """async (note) => {
  const { Room } = await import('/console/js/room/store.js');
  const room = new Room();
  const message = (seq, more) => ({ seq, kind: 'text', text: `${seq}`, at: '2026-11-30T00:00:00Z', ...more });
  room.absorb({ messages: [message(1, { role: 'customer' })], latest: 1, read: { customer: 0, mechanic: 1 } });
  const marks = [room.read.mechanic];
  room.addEventListener('read', () => marks.push(room.read.mechanic));
  room.push(message(2, { role: 'system', kind: 'system', note }));
  room.reads({ customer: 0, mechanic: 2 });
  return marks;
}"""


@pytest.mark.parametrize("note", ["released", "replaced", "mechanic_absent", "taken_back"])
def test_another_mechanic_has_read_nothing_yet(console: Page, note: str) -> None:
    assert console.evaluate(ANOTHER_MECHANIC, note) == [1, 0, 2]


SENDING = """async (answers) => {
  const { Outbox } = await import('/console/js/room/outbox.js');
  const sent = [];
  let kept = [];
  const store = { read: () => JSON.parse(JSON.stringify(kept)), write: (items) => (kept = items) };
  const send = async ({ clientId, text }) => {
    sent.push([clientId, text]);
    const status = answers.shift() ?? 201;
    const slug = status === 409 ? 'session-ended' : '';
    if (status !== 201) throw Object.assign(new Error('No.'), { status, slug });
    return { seq: sent.length, at: '2026-11-30T00:00:00Z' };
  };
  const outbox = new Outbox(store, send);
  for (const text of ['one', 'two', 'three']) outbox.add({ text });
  await outbox.flush();
  await new Promise((resolve) => setTimeout(resolve));
  const before = outbox.items.map(({ text, state }) => [text, state]);
  const again = new Outbox(store, send); // as after a reload
  await again.flush();
  return { sent, before, left: again.items.map(({ text, state, why }) => [text, state, why]) };
}"""


def test_what_was_not_sent_is_sent_after_a_reload_under_the_same_name(console: Page) -> None:
    seen = console.evaluate(SENDING, [201, 0])
    assert [text for _, text in seen["sent"]] == ["one", "two", "two", "three"]
    assert seen["before"] == [["two", "kept"], ["three", "kept"]]
    assert seen["sent"][1][0] == seen["sent"][2][0]
    assert seen["left"] == []


@pytest.mark.parametrize("status", [0, 408, 429, 500, 503])
def test_what_may_succeed_later_holds_up_the_rest(console: Page, status: int) -> None:
    seen = console.evaluate(SENDING, [status])
    assert seen["before"] == [["one", "kept"], ["two", "kept"], ["three", "kept"]]
    assert [text for _, text in seen["sent"]] == ["one", "one", "two", "three"]


@pytest.mark.parametrize("status", [404, 409, 422])
def test_what_is_refused_stays_with_its_reason_and_holds_nothing_up(console: Page, status: int) -> None:
    seen = console.evaluate(SENDING, [201, status])
    assert [text for _, text in seen["sent"]] == ["one", "two", "three"]
    assert seen["left"] == [["two", "refused", "No."]]


EXPECTED = """async ([position, seconds, waited, kept]) => {
  const { expected, waitWords } = await import('/console/js/session/words.js');
  const now = 1_000_000_000;
  const before = kept && { position: kept[0], until: now + kept[1] * 1000 };
  return waitWords(expected({ position, estimatedWaitSeconds: seconds }, now - waited * 1000, before, now), now);
}"""


@pytest.mark.parametrize(
    ("position", "estimate", "waited", "kept", "words"),
    [
        (1, None, 5, None, ""),
        (1, 30, 5, None, "Usually less than a minute from now."),
        (1, 300, 5, None, "Usually about 5 minutes from now."),
        (1, 300, 200, None, "Usually about 2 minutes from now."),
        (1, 300, 301, None, "It takes longer than usual, and we cannot say how much longer."),
        (1, 300, 200, [1, 20], "Usually less than a minute from now."),
        (1, 300, 900, [1, -1], "It takes longer than usual, and we cannot say how much longer."),
        (1, 120, 900, [2, -1], "Usually about 2 minutes from now."),
    ],
    ids=["none", "soon", "new", "conditional", "exceeded", "kept", "kept-exceeded", "moved-up"],
)
def test_an_estimate_counts_what_was_waited_and_ends_when_it_is_exceeded(  # noqa: PLR0913, PLR0917 (a row of a table)
    console: Page, position: int, estimate: int | None, waited: int, kept: list[int] | None, words: str
) -> None:
    assert console.evaluate(EXPECTED, [position, estimate, waited, kept]) == words
