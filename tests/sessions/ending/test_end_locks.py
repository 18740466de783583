"""Ending a session that others have locked: it waits a little, sees what they did, and is done once."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from autodoctor.errors import SessionBusy
from autodoctor.ids import new_id
from autodoctor.sessions.end import Ender, end_session
from support.sessions.evidence import plant
from support.world import PATIENCE_SECONDS, World


def test_a_session_that_stays_locked_is_busy(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    began = time.monotonic()
    with world.owner.transaction():
        world.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [session_id])
        with pytest.raises(SessionBusy):
            world.end(customer, session_id)
    assert time.monotonic() - began >= 1
    assert world.end(customer, session_id).status == "cancelled"


def test_a_lock_that_goes_in_time_is_waited_for(world: World) -> None:
    customer = new_id()
    session_id = world.live(world.mechanic(), customer).session_id
    with ThreadPoolExecutor(1) as pool:
        with world.owner.transaction():
            world.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [session_id])
            ending = pool.submit(world.end, customer, session_id)
            world.wait_until_sent("finish_session(")
        assert ending.result(timeout=PATIENCE_SECONDS).reason == "too_short"


def test_who_only_refers_to_the_session_is_not_waited_for(world: World) -> None:
    customer = new_id()
    session_id = world.live(world.mechanic(), customer).session_id
    with world.owner.transaction():
        world.owner.execute("SELECT FROM sessions WHERE id = %s FOR KEY SHARE", [session_id])
        assert world.end(customer, session_id).reason == "too_short"


def test_a_join_that_commits_while_the_end_waits_is_seen(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    world.let_time_pass(100)
    plant(world, session_id, 100)
    with ThreadPoolExecutor(1) as pool:
        with world.owner.transaction():
            world.owner.execute("SELECT FROM sessions WHERE id = %s FOR NO KEY UPDATE", [session_id])
            ending = pool.submit(world.end, customer, session_id)
            world.wait_until_sent("finish_session(")
            plant(world, session_id, 100, mechanic=mechanic)
        assert ending.result(timeout=PATIENCE_SECONDS).reason == "billable"


def test_notes_of_a_mechanic_whose_customer_was_quicker_are_kept_once(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.end(customer, session_id)
    for notes in ("Worn pads.", "Something else."):
        assert end_session(world.app, Ender(mechanic.user_id), session_id, notes).already_ended
    end_session(world.app, Ender(customer), session_id, "Not mine to say.")
    kept = world.owner.execute("SELECT version, text FROM session_notes").fetchall()
    assert kept == [{"version": 1, "text": "Worn pads."}]
