"""The mechanic's notes: kept whoever ends, never overwritten by older ones, and told to the customer once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from pydantic import ValidationError

from autodoctor.db import Database
from autodoctor.errors import NotesChanged, NotesClosed, SessionNotFound
from autodoctor.events.model import event_of
from autodoctor.ids import new_id
from autodoctor.operations.mechanic_privacy import erase_mechanic
from autodoctor.operations.privacy import erase_customer, export_customer
from autodoctor.sessions.active import SessionDetail, session_detail
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.notes import MOST_VERSIONS, NotesRequest, NotesSaved, save_notes
from autodoctor.sessions.presence import release
from support.world import Mechanic, World

FIFTEEN_MINUTES = 900
A_DAY = 86_400
TALKED = 3600


def note(world: World, mechanic: Mechanic, session_id: UUID, text: str, version: int) -> NotesSaved:
    """Save as typed."""
    return save_notes(world.app, mechanic.user_id, session_id, NotesRequest(text=text, version=version))


def confirm(world: World, mechanic: Mechanic, session_id: UUID, text: str, version: int) -> NotesSaved:
    """Save as complete."""
    request = NotesRequest(text=text, version=version, confirmed=True)
    return save_notes(world.app, mechanic.user_id, session_id, request)


def stored(world: World) -> list[tuple[int, str]]:
    rows = world.owner.execute("SELECT version, text FROM session_notes ORDER BY saved_at").fetchall()
    return [(row["version"], row["text"]) for row in rows]


def told(world: World) -> list[str]:
    """The events that have the customer told, oldest first."""
    rows = world.owner.execute("SELECT * FROM outbox_events ORDER BY id").fetchall()
    return [event.type for row in rows if (event := event_of(row)).type in {"summary.ready", "notes.added"}]


def talked(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    """A session that has been live for an hour."""
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(TALKED)
    return session_id


def completed(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    session_id = talked(world, mechanic, customer)
    assert world.end(customer, session_id).status == "completed"
    return session_id


def sweep_summaries(world: World) -> int:
    return sweep(world.app, lambda: 60.0).summaries


# --- what is stored -------------------------------------------------------------------------------


def test_the_newest_version_is_kept_in_whatever_order_they_come(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = world.waiting(mechanic, customer).session_id
    saved = note(world, mechanic, session_id, "Front pads", 2)
    with pytest.raises(NotesChanged) as late:
        note(world, mechanic, session_id, "Front", 1)
    assert (saved.version, late.value.extras) == (2, {"version": 2})
    assert note(world, mechanic, session_id, "Front pads worn", 7).version == 7
    assert stored(world) == [(7, "Front pads worn")]


def test_the_same_request_again_changes_nothing(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = world.live(mechanic, customer).session_id
    first = note(world, mechanic, session_id, "Front pads", 1)
    assert note(world, mechanic, session_id, "Front pads", 1) == first
    with pytest.raises(NotesChanged):
        note(world, mechanic, session_id, "Rear pads", 1)
    assert stored(world) == [(1, "Front pads")]


def test_of_two_devices_one_is_told_that_it_is_behind(world: World, customer: UUID) -> None:
    mechanic, barrier = world.mechanic(), Barrier(2)
    session_id = world.live(mechanic, customer).session_id

    def save(text: str) -> bool:
        with world.elsewhere() as database:
            barrier.wait()
            try:
                save_notes(database, mechanic.user_id, session_id, NotesRequest(text=text, version=1))
            except NotesChanged:
                return False
            return True

    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(save, ["Front pads", "Rear pads"])) == [False, True]
    assert len(stored(world)) == 1


@pytest.mark.parametrize("ender", ["customer", "mechanic", "admin", "sweep"])
def test_notes_outlive_the_end_whoever_ends(world: World, customer: UUID, ender: str) -> None:
    mechanic = world.mechanic()
    session_id = talked(world, mechanic, customer)
    note(world, mechanic, session_id, "Front pads", 1)
    if ender == "sweep":
        world.let_time_pass(TALKED * 3)
        assert sweep(world.app, lambda: 60.0).ended == 1
    else:
        who = {"customer": customer, "mechanic": mechanic.user_id, "admin": new_id()}[ender]
        end_session(world.app, Ender(who, any_session=ender == "admin"), session_id)
    assert session_detail(world.app, mechanic.user_id, session_id).mechanic_notes == "Front pads"
    assert note(world, mechanic, session_id, "Front pads, and discs", 2).version == 2


def test_words_given_with_the_end_are_the_newest(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = world.live(mechanic, customer).session_id
    note(world, mechanic, session_id, "Front", 4)
    end_session(world.app, Ender(mechanic.user_id), session_id, "Front pads")
    with pytest.raises(NotesChanged):  # an autosave that was on its way
        note(world, mechanic, session_id, "Front pad", 5)
    assert stored(world) == [(5, "Front pads")]
    end_session(world.app, Ender(mechanic.user_id), session_id, "Front")
    assert stored(world) == [(5, "Front pads")]


def test_each_mechanic_has_notes_of_their_own(world: World, customer: UUID) -> None:
    first, second = world.mechanic(), world.mechanic()
    session_id = world.waiting(first, customer).session_id
    note(world, first, session_id, "Did not come", 3)
    release(world.app, first.user_id, session_id)
    world.accept_current(second, session_id)
    assert note(world, second, session_id, "Front pads", 1).version == 1
    with pytest.raises(SessionNotFound):
        note(world, first, session_id, "Still here", 4)
    assert session_detail(world.app, second.user_id, session_id).mechanic_notes == "Front pads"


@pytest.mark.parametrize("who", ["customer", "another mechanic", "nobody known"])
def test_only_the_session_s_mechanic_writes(world: World, customer: UUID, who: str) -> None:
    session_id = world.live(world.mechanic(), customer).session_id
    user = {"customer": customer, "another mechanic": world.mechanic().user_id, "nobody known": new_id()}[who]
    with pytest.raises(SessionNotFound):
        save_notes(world.app, user, session_id, NotesRequest(text="Mine", version=1))
    assert stored(world) == []


def test_an_erased_mechanic_writes_none(world: World, customer: UUID, owner: Database) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    note(world, mechanic, session_id, "Front pads", 1)
    world.owner.execute("DELETE FROM settlements_due")
    erase_mechanic(owner, mechanic.user_id, "ada")
    with pytest.raises(SessionNotFound):
        note(world, mechanic, session_id, "Call me at home", 2)
    assert stored(world) == [(1, "Front pads")]


def test_they_may_be_completed_for_a_day(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    world.let_time_pass(A_DAY - 60)
    note(world, mechanic, session_id, "Front pads", 1)
    world.let_time_pass(61)
    with pytest.raises(NotesClosed):
        note(world, mechanic, session_id, "Front pads, and discs", 2)
    assert stored(world) == [(1, "Front pads")]


def test_operators_change_how_long(world: World, customer: UUID) -> None:
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('notes_seconds', '60'), ('summary_seconds', '30')")
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    world.let_time_pass(31)
    assert sweep_summaries(world) == 1
    world.let_time_pass(30)
    with pytest.raises(NotesClosed):
        note(world, mechanic, session_id, "Front pads", 1)


def test_words_given_with_the_end_follow_the_highest_version_that_there_is(
    world: World, mechanic: Mechanic, customer: UUID
) -> None:
    session_id = talked(world, mechanic, customer)
    note(world, mechanic, session_id, "Front pads", MOST_VERSIONS)
    end_session(world.app, Ender(mechanic.user_id), session_id, "Front pads, and discs")
    assert stored(world) == [(MOST_VERSIONS + 1, "Front pads, and discs")]


@pytest.mark.parametrize("body", [{"text": "x" * 4001, "version": 1}, {"text": "x", "version": 0}, {"text": "x"}])
def test_a_wrong_request_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NotesRequest.model_validate(body)


# --- who reads them -------------------------------------------------------------------------------


def reads(world: World, user_id: UUID, session_id: UUID) -> SessionDetail:
    return session_detail(world.app, user_id, session_id)


def test_the_customer_reads_them_when_they_are_confirmed(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = talked(world, mechanic, customer)
    note(world, mechanic, session_id, "Front", 1)
    assert reads(world, customer, session_id).mechanic_notes is None
    world.end(customer, session_id)
    assert reads(world, customer, session_id).mechanic_notes is None
    confirm(world, mechanic, session_id, "Front pads", 2)
    assert reads(world, customer, session_id).mechanic_notes == "Front pads"
    assert reads(world, customer, session_id).notes is None


def test_or_when_the_summary_no_longer_waits(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    note(world, mechanic, session_id, "Front", 1)
    world.let_time_pass(FIFTEEN_MINUTES)
    assert reads(world, customer, session_id).mechanic_notes == "Front"


def test_the_mechanic_sees_how_far_they_are(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = talked(world, mechanic, customer)
    before = reads(world, mechanic.user_id, session_id).notes
    saved = note(world, mechanic, session_id, "Front", 3)
    world.end(customer, session_id)
    after = reads(world, mechanic.user_id, session_id)
    assert before is not None
    assert (before.version, before.saved_at, before.closes_at) == (0, None, None)
    assert after.notes is not None
    assert after.ended_at is not None
    assert (after.notes.version, after.notes.saved_at, after.notes.confirmed_at) == (3, saved.saved_at, None)
    assert after.notes.closes_at is not None
    assert (after.notes.closes_at - after.ended_at).total_seconds() == A_DAY


# --- what the customer is told --------------------------------------------------------------------


def test_a_summary_goes_out_when_the_notes_are_confirmed(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    note(world, mechanic, session_id, "Front pads", 1)
    assert (told(world), sweep_summaries(world)) == ([], 0)
    confirm(world, mechanic, session_id, "Front pads", 1)
    assert told(world) == ["summary.ready"]
    confirm(world, mechanic, session_id, "Front pads", 1)
    confirm(world, mechanic, session_id, "Front pads, and discs", 2)
    world.let_time_pass(FIFTEEN_MINUTES)
    assert (told(world), sweep_summaries(world)) == (["summary.ready"], 0)


def test_or_after_a_quarter_of_an_hour(world: World, customer: UUID) -> None:
    completed(world, world.mechanic(), customer)
    world.let_time_pass(FIFTEEN_MINUTES - 30)
    assert sweep_summaries(world) == 0
    world.let_time_pass(31)
    assert (sweep_summaries(world), sweep_summaries(world)) == (1, 0)
    assert told(world) == ["summary.ready"]


def test_notes_confirmed_during_the_talk_are_told_at_its_end(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = talked(world, mechanic, customer)
    confirm(world, mechanic, session_id, "Front pads", 1)
    assert told(world) == []
    world.end(customer, session_id)
    assert told(world) == ["summary.ready"]


def test_notes_confirmed_after_the_summary_are_told_by_themselves_once(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    world.let_time_pass(FIFTEEN_MINUTES)
    sweep_summaries(world)
    note(world, mechanic, session_id, "Front pads", 1)
    confirm(world, mechanic, session_id, "Front pads", 2)
    confirm(world, mechanic, session_id, "Front pads!", 3)
    assert told(world) == ["summary.ready", "notes.added"]


def test_confirming_what_the_summary_had_tells_nothing_more(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    note(world, mechanic, session_id, "Front pads", 1)
    world.let_time_pass(FIFTEEN_MINUTES)
    sweep_summaries(world)
    confirm(world, mechanic, session_id, "Front pads", 1)
    assert told(world) == ["summary.ready"]


def test_of_a_session_that_was_not_completed_only_notes_are_told(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = world.live(mechanic, customer).session_id
    world.end(customer, session_id)
    world.let_time_pass(FIFTEEN_MINUTES)
    assert sweep_summaries(world) == 0
    confirm(world, mechanic, session_id, "", 1)
    assert told(world) == []


def test_a_mechanic_who_had_something_to_say_of_it_is_heard(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = world.live(mechanic, customer).session_id
    world.end(customer, session_id)
    confirm(world, mechanic, session_id, "Call me when you are at the car", 1)
    assert told(world) == ["notes.added"]


def test_a_confirmation_that_met_the_end_unseen_is_found_by_the_sweep(world: World, customer: UUID) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    with world.without_triggers() as connection:  # neither transaction saw the other
        connection.execute(
            "INSERT INTO session_notes (session_id, mechanic_id, version, confirmed_at, text)"
            " VALUES (%s, %s, 1, now(), 'Front pads')",
            [session_id, mechanic.id],
        )
    assert (sweep_summaries(world), told(world)) == (1, ["summary.ready"])


def test_two_sweeps_tell_each_once(world: World) -> None:
    for _ in range(5):
        completed(world, world.mechanic(), new_id())
    world.let_time_pass(FIFTEEN_MINUTES)
    barrier = Barrier(2)

    def run(_: int) -> int:
        with world.elsewhere() as database:
            barrier.wait()
            return sweep(database, lambda: 60.0).summaries

    with ThreadPoolExecutor() as pool:
        assert sum(pool.map(run, range(2))) == 5
    assert told(world) == ["summary.ready"] * 5


# --- privacy --------------------------------------------------------------------------------------


@pytest.fixture
def owner(world: World) -> Iterator[Database]:
    """The database as its owner."""
    database = Database(lambda: world.urls.owner_url)
    yield database
    database.close()


def test_they_are_exported_and_erased_and_not_written_again(world: World, customer: UUID, owner: Database) -> None:
    mechanic = world.mechanic()
    session_id = completed(world, mechanic, customer)
    note(world, mechanic, session_id, "Cora's pads", 1)
    assert "Cora's pads" in str(export_customer(owner, customer))
    erase_customer(owner, customer, "ada")
    assert stored(world) == [(1, "")]
    with pytest.raises(NotesClosed):
        note(world, mechanic, session_id, "Cora's pads", 2)
