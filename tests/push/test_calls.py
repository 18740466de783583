"""Who is called by what: a request and its end, an offer, the accept, a message; once, and while it is true."""

from typing import LiteralString
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.notifications.kinds import PUSHED, CallKind, Kind
from autodoctor.push.calls import NotCalled
from autodoctor.sessions.accept import accept, decline
from autodoctor.sessions.end import Ender, end_session
from support.push_env import CalledBrowser, PushEnv
from support.world import Mechanic

VOLVO = "2019 Volvo V60"


@pytest.fixture
def mechanic(push_env: PushEnv) -> Mechanic:
    return push_env.mechanic()


@pytest.fixture
def browser(push_env: PushEnv, mechanic: Mechanic) -> CalledBrowser:
    """The mechanic's."""
    return push_env.browser(mechanic.user_id)


def titles(browser: CalledBrowser) -> list[str]:
    return [each.get("title", each["kind"]) for each in browser.read()]


def say(push_env: PushEnv, user_id: UUID, session_id: UUID) -> None:
    """Have a party write a message, and its event told."""
    push_env.say(user_id, session_id, "Is it the left wheel?")
    push_env.tell(push_env.last_message())


def test_a_request_calls_a_mechanic_who_may_take_it(push_env: PushEnv, browser: CalledBrowser, customer: UUID) -> None:
    push_env.owner.execute("UPDATE plans SET mechanic_fixed_pay_cents = 699 WHERE code = 'free'")
    created = push_env.queued(customer, urgent=True)
    push_env.told(created.session_id)
    assert browser.read() == [
        {
            "kind": "request_waiting",
            "title": f"New request: {VOLVO}",
            "text": "Urgent. A customer waits for a chat. It pays you $6.99.",
            "topic": created.assignment_id.hex,
            "url": "mechanic.html#queue",
        }
    ]
    (held,) = browser.held
    assert (held.topic, held.ttl_seconds, held.urgency) == (created.assignment_id.hex, 120, "high")


def test_a_free_request_says_that_it_pays_nothing_and_nothing_that_the_customer_wrote(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID
) -> None:
    push_env.told(push_env.queued(customer, concern="It smells of almonds").session_id)
    (shown,) = browser.read()
    assert shown["text"] == "A customer waits for a chat. It is free: it pays nothing."
    assert "almonds" not in str(shown)
    assert "Cora" not in str(shown)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE mechanics SET available_until = NULL",
        "UPDATE mechanics SET status = 'suspended'",
        (
            "INSERT INTO notification_preferences (user_id, kind, email, in_app, push)"
            " SELECT user_id, 'request_waiting', true, true, false FROM mechanics"
        ),
        "DELETE FROM push_subscriptions",
    ],
)
def test_nobody_is_called_who_is_away_or_does_not_want_it(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID, change: LiteralString
) -> None:
    created = push_env.queued(customer)
    push_env.owner.execute(change)
    push_env.told(created.session_id)
    assert browser.held == []


def test_a_mechanic_who_has_a_session_is_not_called(
    push_env: PushEnv, mechanic: Mechanic, browser: CalledBrowser, customer: UUID
) -> None:
    push_env.live(mechanic, new_id())
    push_env.told(push_env.queued(customer).session_id)
    assert browser.held == []


def test_nobody_is_called_to_their_own_request(push_env: PushEnv, mechanic: Mechanic, browser: CalledBrowser) -> None:
    push_env.told(push_env.queued(mechanic.user_id).session_id)
    assert browser.held == []


def test_an_unsigned_request_and_one_for_later_call_nobody(push_env: PushEnv, browser: CalledBrowser) -> None:
    push_env.told(push_env.pending(new_id()).session_id)
    push_env.told(push_env.queued(new_id(), scheduledFor=push_env.one("SELECT now() + interval '3 hours'")).session_id)
    assert browser.held == []


def test_a_request_for_later_calls_when_its_time_has_come(push_env: PushEnv, browser: CalledBrowser) -> None:
    later = push_env.one("SELECT now() + interval '20 minutes'")
    created = push_env.queued(new_id(), scheduledFor=later)
    push_env.let_time_pass(600)
    push_env.owner.execute("SELECT bring_due_sessions()")
    push_env.tell(push_env.event(created.session_id, "session.pending"))
    assert titles(browser) == [f"New request: {VOLVO}"]


def test_an_offer_calls_the_mechanic_it_is_for_and_then_the_others(
    push_env: PushEnv, mechanic: Mechanic, browser: CalledBrowser, customer: UUID
) -> None:
    other = push_env.browser(push_env.mechanic().user_id)
    created = push_env.queued(customer, preferredMechanicId=str(mechanic.id))
    push_env.told(created.session_id)
    assert (titles(browser), titles(other)) == ([f"Asked for you: {VOLVO}"], [])
    decline(push_env.app, mechanic.user_id, created.assignment_id)
    push_env.told(created.session_id)
    assert (titles(browser), titles(other)) == (["withdrawn"], [f"New request: {VOLVO}"])


def test_what_somebody_took_is_withdrawn_where_it_was_shown(
    push_env: PushEnv, mechanic: Mechanic, browser: CalledBrowser, customer: UUID
) -> None:
    other, late = push_env.mechanic(), push_env.mechanic()
    others = push_env.browser(other.user_id)
    created = push_env.queued(customer)
    push_env.told(created.session_id)
    never_called = push_env.browser(late.user_id)
    accept(push_env.app, mechanic.user_id, created.assignment_id)
    push_env.tell(push_env.event(created.session_id, "assignment.accepted"))
    for each in (browser, others):
        assert each.read() == [{"kind": "withdrawn", "topic": created.assignment_id.hex}]
        (held,) = each.held
        assert (held.topic, held.ttl_seconds) == (created.assignment_id.hex, 120)
    assert never_called.held == []
    before = len(push_env.service.taken)
    push_env.told(created.session_id)
    assert len(push_env.service.taken) == before


def test_a_request_that_the_customer_gave_up_is_withdrawn(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID
) -> None:
    created = push_env.queued(customer)
    push_env.told(created.session_id)
    end_session(push_env.app, Ender(customer), created.session_id)
    push_env.told(created.session_id)
    assert titles(browser) == ["withdrawn"]


def test_what_is_gone_before_it_is_told_calls_nobody(push_env: PushEnv, browser: CalledBrowser, customer: UUID) -> None:
    created = push_env.queued(customer)
    end_session(push_env.app, Ender(customer), created.session_id)
    push_env.told(created.session_id)
    assert browser.held == []


def test_a_safari_is_not_sent_what_shows_nothing(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = push_env.queued(customer)
    push_env.told(created.session_id)
    apple = "https://web.push.apple.com/a"
    monkeypatch.setenv("PUSH_HOSTS", "*.push.apple.com")
    push_env.owner.execute("UPDATE push_subscriptions SET endpoint = %s", [apple])
    end_session(push_env.app, Ender(customer), created.session_id)
    push_env.tell(push_env.event(created.session_id, "assignment.cancelled"))
    assert titles(browser) == [f"New request: {VOLVO}"]


def test_an_event_that_comes_twice_calls_once(push_env: PushEnv, browser: CalledBrowser, customer: UUID) -> None:
    created = push_env.queued(customer)
    push_env.told(created.session_id)
    push_env.told(created.session_id)
    assert len(push_env.service.taken) == 1
    assert len(browser.held) == 1


def test_an_event_that_comes_late_calls_nobody(push_env: PushEnv, browser: CalledBrowser, customer: UUID) -> None:
    created = push_env.queued(customer)
    queued = push_env.event(created.session_id, "assignment.queued")
    old = queued.occurred_at.replace(year=2020)
    push_env.tell(queued.model_copy(update={"occurred_at": old}))
    assert browser.held == []


@pytest.mark.parametrize("ended", [True, False])
def test_a_browser_that_is_gone_is_forgotten(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID, *, ended: bool
) -> None:
    if ended:
        push_env.service.switches.ended.add(browser.name)
    else:
        push_env.service.switches.answers.append(404)
    push_env.told(push_env.queued(customer).session_id)
    assert push_env.subscriptions() == []


def test_a_push_service_that_has_too_much_to_do_is_asked_once_more_and_then_with_the_event(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID
) -> None:
    created = push_env.queued(customer)
    queued = push_env.event(created.session_id, "assignment.queued")
    push_env.service.switches.answers = [429, 503]
    with pytest.raises(NotCalled):
        push_env.tell(queued)
    assert len(push_env.subscriptions()) == 1
    push_env.service.switches.answers = [429]
    push_env.tell(queued)
    assert titles(browser) == [f"New request: {VOLVO}"]


def test_a_push_service_that_is_away_does_not_keep_the_others_waiting(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = push_env.browser(push_env.mechanic().user_id)
    monkeypatch.setenv("PUSH_HOSTS", f"http://127.0.0.1:9 {browser.endpoint.partition('/_push')[0]}")
    push_env.owner.execute(
        "UPDATE push_subscriptions SET endpoint = 'http://127.0.0.1:9/a' WHERE id = %s", [away.subscription_id]
    )
    with pytest.raises(NotCalled):
        push_env.told(push_env.queued(customer).session_id)
    assert titles(browser) == [f"New request: {VOLVO}"]


def test_a_message_that_is_refused_is_not_tried_for_ever(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID
) -> None:
    push_env.service.switches.answers = [403]
    push_env.told(push_env.queued(customer).session_id)
    assert browser.held == []
    assert len(push_env.subscriptions()) == 1


def test_a_host_that_is_not_called_any_more_is_forgotten(
    push_env: PushEnv, browser: CalledBrowser, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSH_HOSTS", "fcm.googleapis.com")
    push_env.told(push_env.queued(customer).session_id)
    assert (browser.held, push_env.subscriptions()) == ([], [])


def test_the_accept_calls_the_customer(push_env: PushEnv, mechanic: Mechanic, customer: UUID) -> None:
    phone = push_env.browser(customer)
    created = push_env.waiting(mechanic, customer)
    push_env.tell(push_env.event(created.session_id, "session.waiting"))
    assert phone.read() == [
        {
            "kind": "mechanic_assigned",
            "title": "Mechanic assigned",
            "text": "Mia accepted your request and is connecting. You can write already.",
            "topic": created.session_id.hex,
            "url": f"https://sessions.example/chat/{created.session_id}",
        }
    ]


def test_a_message_calls_the_other_party_while_they_are_away(
    push_env: PushEnv, mechanic: Mechanic, browser: CalledBrowser, customer: UUID
) -> None:
    phone = push_env.browser(customer)
    session_id = push_env.waiting(mechanic, customer).session_id
    say(push_env, mechanic.user_id, session_id)
    say(push_env, customer, session_id)
    assert [(each["title"], each["text"]) for each in (phone.read()[-1], browser.read()[-1])] == [
        ("New message", "Mia wrote to you."),
        ("New message", "Your customer wrote to you."),
    ]
    assert {message.topic for _, message in push_env.service.taken} == {session_id.hex}


def test_a_message_calls_nobody_who_is_in_the_room_or_has_read_it(
    push_env: PushEnv, mechanic: Mechanic, customer: UUID
) -> None:
    phone = push_env.browser(customer)
    session_id = push_env.waiting(mechanic, customer).session_id
    push_env.come(customer, session_id)
    say(push_env, mechanic.user_id, session_id)
    push_env.owner.execute("DELETE FROM realtime_connections")
    push_env.owner.execute("UPDATE rooms SET customer_read = latest")
    push_env.tell(push_env.last_message())
    assert phone.held == []


def test_every_kind_that_is_pushed_is_one_that_a_user_can_choose() -> None:
    assert {*Kind, *CallKind} >= PUSHED
