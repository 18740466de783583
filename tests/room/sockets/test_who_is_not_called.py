"""Which queues an event of a room goes to: nobody is called who heard it, and nothing is brought twice."""

import pytest

from support.account import Account, Caller
from support.room.member import Member
from support.wait import wait_until


def queues(account: Account, session: str, event: str) -> list[str]:
    """Where the events of a session with this type went, one entry for each, waited for."""
    session_id = session.rpartition("/")[2]

    def went() -> list[str]:
        told = [line.text for line in account.lines if line.kind == "bus" and line.session == session_id]
        return [text.partition(" -> ")[2] for text in told if text.startswith(event)]

    wait_until(lambda: went() != [])
    return went()


def test_words_that_were_heard_go_to_no_queue(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    with Member(customer, session) as driver, Member(mechanic, session) as helper:
        driver.say("It squeals.")
        helper.hears("It squeals.")
        helper.say("When you brake?")
        driver.hears("When you brake?")
        wait_until(lambda: len(queues(account, session, "message.posted")) == 2)
        assert queues(account, session, "message.posted") == ["no rule", "no rule"]


@pytest.mark.parametrize("left", ["never came", "closed the page", "lost the connection"])
def test_words_that_the_other_did_not_hear_call_them(
    account: Account, session: str, customer: Caller, mechanic: Caller, left: str
) -> None:
    with Member(customer, session) as driver:
        if left != "never came":
            with Member(mechanic, session) as helper:
                driver.sees_present(customer=True, mechanic=True)
                if left == "lost the connection":
                    helper.feed.vanish()
            wait_until(lambda: driver.pushed("present")[-1]["present"] == {"customer": True, "mechanic": False})
        driver.say("Are you there?")
        assert queues(account, session, "message.posted") == ["PushQueue"]


def test_the_writers_other_devices_are_not_the_other_party(account: Account, session: str, customer: Caller) -> None:
    with Member(customer, session), Member(customer, session) as driver:
        driver.say("Are you there?")
        assert queues(account, session, "message.posted") == ["PushQueue"]


def test_a_word_to_a_connection_that_is_gone_calls_the_other(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    """A connection that is there for us and gone for API Gateway, as after a network that ended without a word."""
    with Member(mechanic, session), Member(customer, session) as driver:
        driver.sees_present(customer=True, mechanic=True)
        account.world.owner.execute(
            "UPDATE realtime_connections SET connection_id = 'GoneByNowAAAAAA=' WHERE user_id = %s", [mechanic.user_id]
        )
        driver.say("Are you there?")
        assert queues(account, session, "message.posted") == ["PushQueue"]


def test_the_room_hears_of_the_start_from_the_join_alone(
    account: Account, session: str, customer: Caller, mechanic: Caller
) -> None:
    with Member(customer, session) as driver, Member(mechanic, session):
        driver.sees_present(customer=True, mechanic=True)
        assert queues(account, session, "session.live") == ["FeedQueue.fifo"]
        wait_until(lambda: [each["message"].get("note") for each in driver.pushed("message")].count("started") == 1)
