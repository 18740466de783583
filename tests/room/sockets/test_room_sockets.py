"""A room as pages use it: said over HTTP, heard by WebSocket, against the functions of template.yaml."""

import json
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from autodoctor.ids import new_id
from autodoctor.room.messages import MessageRequest, post
from autodoctor.sessions.presence import join
from support.account import Account, Caller
from support.events.feed_client import FeedClient
from support.room.member import Member
from support.wait import wait_until
from support.world import World


def refusal(client: FeedClient) -> tuple[str, int, object]:
    """What an action was refused with: type, status, and which session it was about."""
    told = client.wait_for_type("refused").message
    return told["problem"]["type"], told["problem"]["status"], told["sessionId"]


def test_two_who_enter_are_live_and_hear_each_other(session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        driver.sees_present(customer=True, mechanic=True)
        assert customer.get(session)["status"] == "live"
        said = driver.say("It squeals.")
        heard = helper.hears("It squeals.")
        assert (heard["seq"], heard["role"], heard["kind"], heard["attachment"]) == (said, "customer", "text", None)
        answered = helper.say("When you brake?")
        assert driver.hears("When you brake?")["seq"] == answered > said
        assert driver.hears("It squeals.")["seq"] == said  # so that the writer's other devices have it too


def test_who_enters_gets_what_was_said_before(session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver:
        numbers = [driver.say(text) for text in ("one", "two", "three")]
        with Member(mechanic, session) as helper:
            assert [text for text in helper.given if text in {"one", "two", "three"}] == ["one", "two", "three"]
        with Member(mechanic, session, after=numbers[0]) as helper:
            assert helper.given[:2] == ["two", "three"]


def test_a_read_mark_reaches_the_other_side(session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        said = driver.say("Hello")
        assert mechanic.post(f"{session}/messages/read", {"seq": said})["read"]["mechanic"] == said
        assert driver.feed.wait_for_type("read").message["read"]["mechanic"] == said
        assert helper.hears("Hello")["seq"] == said


def test_typing_reaches_the_other_side_once_in_a_while(session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        for _ in range(5):
            driver.feed.send({"action": "typing", "sessionId": driver.session_id})
        told = helper.feed.wait_for_type("typing").message
        assert told == {"type": "typing", "sessionId": driver.session_id, "role": "customer"}
        driver.say("So")
        helper.hears("So")
        assert len(helper.pushed("typing")) == 1
        assert driver.pushed("typing") == []


def test_the_other_side_sees_who_comes_and_goes(session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver:
        with Member(mechanic, session):
            driver.sees_present(customer=True, mechanic=True)
        driver.feed.wait_for(
            lambda frame: frame.type == "present" and frame.message["present"] == {"customer": True, "mechanic": False}
        )
        mechanic.post(f"{session}/join")
        wait_until(lambda: driver.pushed("present")[-1]["present"]["mechanic"])
        mechanic.post(f"{session}/leave")
        wait_until(lambda: not driver.pushed("present")[-1]["present"]["mechanic"])


def test_the_other_side_hears_that_a_phone_fell_silent(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    """Its network is gone: it says nothing, and `$disconnect` does not come."""
    with Member(customer, session), Member(mechanic, session) as helper:
        helper.sees_present(customer=True, mechanic=True)
        silence = "UPDATE realtime_connections SET heard_at = heard_at - interval '91 s' WHERE user_id = %s"
        account.sql(silence, customer.user_id)
        assert account.cloud.invoke("ExpireOrphansFunction", {}).error is None
        wait_until(lambda: helper.pushed("present")[-1]["present"] == {"customer": False, "mechanic": True})
        wait_until(lambda: [each["message"]["note"] for each in helper.pushed("message")][-1] == "customer_lost")


def test_strangers_are_refused_and_hear_nothing(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    session_id = session.rpartition("/")[2]
    earlier = account.mechanic()
    with (
        FeedClient.of(account.customer()) as other,
        FeedClient.of(earlier) as another,
        FeedClient.of(account.admin()) as admin,
        Member(customer, session) as driver,
        Member(mechanic, session) as helper,
    ):
        for stranger in (other, another, admin):
            stranger.send({"action": "room", "sessionId": session_id})
            assert refusal(stranger) == ("/problems/not-found", 404, session_id)
            stranger.send({"action": "typing", "sessionId": session_id})
        driver.say("Between us")
        helper.hears("Between us")
        for stranger in (other, another, admin):
            assert "Between us" not in "".join(frame.text for frame in stranger.received)
        assert helper.pushed("typing") == []


def test_a_mechanic_who_gives_it_back_hears_nothing_more(
    account: Account, customer: Caller, mechanic: Caller, session: str
) -> None:
    with Member(customer, session) as driver, FeedClient.of(mechanic) as listener:
        account.sql(  # as if it had been bound before, and the release had not heard of it
            "UPDATE realtime_connections SET room = %s WHERE user_id = %s",
            session.rpartition("/")[2],
            mechanic.user_id,
        )
        mechanic.post(f"{session}/release")
        driver.say("Are you still there?")
        driver.hears("Are you still there?")
        listener.send({"action": "room", "sessionId": driver.session_id})
        assert refusal(listener)[:2] == ("/problems/not-found", 404)
        assert "still there" not in "".join(frame.text for frame in listener.received)


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        ({"action": "room"}, "/sessionId"),
        ({"action": "room", "sessionId": "x"}, "/sessionId"),
        ({"action": "room", "sessionId": str(UUID(int=1)), "after": -1}, "/after"),
        ({"action": "typing", "sessionId": 7}, "/sessionId"),
        ({"action": "room", "sessionId": str(UUID(int=1)), "more": ["\0"]}, "/more/0"),
    ],
)
def test_what_is_not_an_action_is_refused_with_its_place(
    customer: Caller, message: dict[str, object], pointer: str
) -> None:
    with FeedClient.of(customer) as client:
        client.send(message)
        told = client.wait_for_type("refused").message
    assert (told["action"], told["problem"]["status"]) == (message["action"], 422)
    assert [error["pointer"] for error in told["problem"]["errors"]] == [pointer]


def test_what_is_no_json_is_refused(customer: Caller) -> None:
    with FeedClient.of(customer) as client:
        client.send({"action": "room", "sessionId": str(UUID(int=1)), "after": float("nan")})
        assert client.wait_for_type("refused").message["problem"]["status"] == 400


def test_after_the_end_the_room_is_read_and_nothing_more(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    with Member(customer, session) as driver:
        driver.say("Thank you")
        customer.post(f"{session}/end")
        refused = mechanic.send("POST", f"{session}/messages", {"clientId": str(new_id()), "text": "Welcome"})
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/session-ended")
    with Member(mechanic, session) as helper:
        assert "Thank you" in helper.texts.values()
        assert helper.enter()["present"] == {"customer": False, "mechanic": False}
        helper.feed.send({"action": "typing", "sessionId": helper.session_id})
    assert account.world.one("SELECT status FROM sessions WHERE id = %s", helper.session_id) == "cancelled"


def test_a_thousand_missed_messages_come_in_few_frames(account: Account, session: str, customer: Caller) -> None:
    account.sql(
        "INSERT INTO session_messages (session_id, seq, client_id, role, kind, text)"
        " SELECT %s, r.latest + n, gen_random_uuid(), 'customer', 'text', 'Message number ' || n"
        "   FROM rooms r, generate_series(1, 1000) AS n WHERE r.session_id = %s",
        session.rpartition("/")[2],
        session.rpartition("/")[2],
    )
    account.sql(
        "UPDATE rooms SET latest = latest + 1000, customer_written = customer_written + 1000 WHERE session_id = %s",
        session.rpartition("/")[2],
    )
    latest = account.world.one("SELECT latest FROM rooms WHERE session_id = %s", session.rpartition("/")[2])
    with Member(customer, session, after=latest - 1000) as driver:
        frames = driver.feed.of_type("room")
        assert len(frames) <= 10
        assert all(len(frame.text.encode()) <= 32 * 1024 for frame in frames)
        assert [frame.message["complete"] for frame in frames] == [False] * (len(frames) - 1) + [True]
        numbers = [each["seq"] for frame in frames for each in frame.message["messages"]]
        assert numbers == list(range(latest - 999, latest + 1))


def test_the_longest_message_fits_into_a_frame(session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        for text in ("!" + "\u0001" * 3999, "🚗" * 4000):
            driver.say(text)
            helper.hears(text)
        assert all(len(frame.text.encode()) <= 32 * 1024 for frame in helper.feed.received)
        refused = customer.send("POST", f"{session}/messages", {"clientId": str(new_id()), "text": "x" * 4001})
        assert refused.status_code == 422


def test_no_word_is_on_the_bus_or_in_a_log(account: Account, session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        driver.say("My number is 555-0123-secret")
        helper.hears("My number is 555-0123-secret")
    logged = "\n".join(json.dumps(line.__dict__, default=str) for line in account.lines)
    assert "555-0123" not in logged


def test_what_was_not_pushed_comes_by_the_queue(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    """As where a process dies between its commit and its push, and for what the system says."""
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        request = MessageRequest.model_validate({"clientId": new_id(), "text": "Nobody pushed this"})
        post(account.world.app, customer.user_id, UUID(driver.session_id), request)
        account.world.one("SELECT room_note(%s, 'call_began')", driver.session_id)
        for member in (driver, helper):
            assert member.hears("Nobody pushed this")["role"] == "customer"
            assert member.hears("The call has begun.")["note"] == "call_began"
        assert helper.pushed("present")[-1]["present"] == {"customer": True, "mechanic": True}


def test_what_was_pushed_does_not_come_again(session: str, customer: Caller, mechanic: Caller) -> None:
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        for number in range(10):
            driver.say(str(number))
        helper.hears("9")
        heard = [frame["message"]["text"] for frame in helper.pushed("message") if frame["message"]["role"] != "system"]
        assert heard == [str(number) for number in range(10)]


def test_the_same_message_sent_again_is_pushed_again_and_written_once(
    session: str, customer: Caller, mechanic: Caller
) -> None:
    """The first attempt may have died before it pushed; whoever has the number already leaves it out."""
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        client_id = str(new_id())
        assert driver.say("Hello?", client_id) == driver.say("Hello?", client_id)
        helper.feed.wait_for(lambda _: len(helper.pushed("message")) > 1)
        assert list(helper.texts.values()).count("Hello?") == 1


def test_who_types_on_two_devices_is_there_on_both(world: World) -> None:
    """The other side is told of one of them only; neither has been silent."""
    session_id = world.waiting(world.mechanic(), customer := new_id()).session_id
    devices = [world.socket(customer), world.socket(customer)]
    for device in devices:
        join(world.app, customer, session_id, device)
    world.let_time_pass(80)
    told = [world.app.one("SELECT * FROM tell_typing(%s, %s)", (device, session_id)) for device in devices]
    assert (told[0] is None, told[1]) == (False, None)
    assert world.one("SELECT bool_and(heard_at > now() - interval '70 seconds') FROM realtime_connections")
    world.let_time_pass(80)
    assert world.app.one("SELECT * FROM tell_typing(%s, %s)", (devices[0], new_id())) is None
    assert world.one("SELECT count(*) FROM realtime_connections WHERE heard_at > now() - interval '70 seconds'") == 1


def test_two_devices_that_type_at_once_are_told_once(world: World) -> None:
    session_id = world.waiting(world.mechanic(), customer := new_id()).session_id
    devices = [world.socket(customer), world.socket(customer)]
    for device in devices:
        join(world.app, customer, session_id, device)
    typing: LiteralString = "SELECT count(*) AS told FROM tell_typing(%s, %s)"
    with psycopg.connect(world.urls.app_url) as other, world.owner.transaction():
        assert world.one(typing, devices[0], session_id) == 1
        other.execute("SET LOCAL lock_timeout = 10")
        with pytest.raises(psycopg.errors.LockNotAvailable):  # it waits for the first one
            other.execute(typing, [devices[1], session_id])
        other.rollback()
    assert world.one(typing, devices[1], session_id) == 0


@pytest.mark.parametrize("said", ['{"action": "identify"}', '{"action": "nothing that there is"}', "hello"])
def test_whatever_a_client_sends_shows_that_it_is_there(
    account: Account, session: str, customer: Caller, said: str
) -> None:
    with Member(customer, session) as driver:
        account.sql("UPDATE realtime_connections SET heard_at = heard_at - interval '80 seconds'")
        driver.feed.send(said)
        wait_until(
            lambda: account.world.one("SELECT heard_at > now() - interval '70 seconds' FROM realtime_connections")
        )


def test_the_page_of_rooms_shows_words_as_text(account: Account, session: str, customer: Caller) -> None:
    with Member(customer, session) as driver:
        driver.say("<script>alert(1)</script>\u202e")
        listed = account.http.get("/_dev/rooms")
        shown = account.http.get(f"/_dev/rooms/{driver.session_id}")
    assert f"/_dev/rooms/{driver.session_id}" in listed.text
    assert "here: customer" in shown.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in shown.text
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert [account.http.get(f"/_dev/rooms/{name}").status_code for name in ("x", new_id())] == [404, 404]


def test_the_call_itself_publishes_that_everybody_has_it(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    """So the consumer's rule does not match, and no process is started for it."""
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        wait_until(lambda: account.world.one("SELECT count(*) FROM outbox") == 0)
        invoked = len([line for line in account.lines if "deliver" in str(line)])
        driver.say("Hello")
        helper.hears("Hello")
        assert account.world.one("SELECT count(*) FROM outbox") == 0
        assert len([line for line in account.lines if "deliver" in str(line)]) == invoked
