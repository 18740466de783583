"""What is kept for a while goes when its time is over, and not before: files and words, each by its setting."""

from typing import LiteralString
from uuid import UUID

import pytest

from autodoctor.aws.errors import ServiceRefused
from autodoctor.files.sweep import FilesSwept, sweep_files
from autodoctor.ids import new_id
from support.files.attachment_rows import attachment
from support.world import World

DAY = 86_400
_SAY: LiteralString = "SELECT outcome FROM post_message(%s, %s, %s, 'My plate is B-CC 1', NULL)"
_SHORTER: LiteralString = """
INSERT INTO settings (key, value) VALUES ('retain_messages_days', '2'), ('retain_files_days', '5')
"""


class Bucket:
    """What the sweep asked to delete; refuses the keys that are `kept`."""

    def __init__(self) -> None:
        self.removed: list[str] = []
        self.kept: set[str] = set()
        self.asked = 0

    def remove(self, key: str) -> None:
        self.asked += 1
        if key in self.kept:
            raise ServiceRefused("s3", "DeleteObject", 503, "SlowDown")
        self.removed.append(key)


def swept(world: World, bucket: Bucket | None = None, seconds: float = 60.0) -> FilesSwept:
    return sweep_files(world.app, (bucket or Bucket()).remove, lambda: seconds)


def talked(world: World, *, ended: bool = True) -> UUID:
    """A session in which both said something."""
    customer, mechanic = new_id(), world.mechanic()
    session = world.live(mechanic, customer).session_id
    for user in (customer, mechanic.user_id):
        world.app.one(
            "SELECT outcome FROM post_message(%s, %s, %s, 'My plate is B-CC 1', NULL)", (session, user, new_id())
        )
    if ended:
        world.end(customer, session)
    return session


def words(world: World, session: UUID) -> int:
    found: int = world.one(
        "SELECT count(*) FROM session_messages WHERE session_id = %s AND text LIKE '%%B-CC%%'", session
    )
    return found


def aged(world: World, session: UUID, days: int, more: int = 0) -> UUID:
    """The session, made and ended so many days ago, as its new id says too; `more` of them pass now."""
    world.let_time_pass((more or days) * DAY)
    at = f"clock_timestamp() - interval '{days} days'"
    older: UUID = world.one(
        f"SELECT (lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7000'"
        " || '8000' || substring(replace(%s::uuid::text, '-', '') FROM 21))::uuid",
        session,
    )
    return renamed(world, session, older)


def renamed(world: World, session: UUID, other: UUID) -> UUID:
    """The session with another id."""
    with world.without_triggers() as connection:
        for table, column in (
            *(("sessions", "id"), ("intakes", "id"), ("rooms", "session_id"), ("session_messages", "session_id")),
            ("attachments", "session_id"),
        ):
            connection.execute(f"UPDATE {table} SET {column} = %s WHERE {column} = %s", [other, session])
    return other


def test_words_go_a_year_after_the_end(world: World) -> None:
    session = aged(world, talked(world), 364)
    lines: LiteralString = "SELECT count(*) FROM session_messages WHERE session_id = %s"
    before = world.one(lines, session)
    assert (swept(world).emptied, words(world, session)) == (0, 2)
    session = aged(world, session, 366, more=2)
    assert (swept(world).emptied, words(world, session)) == (1, 0)
    assert swept(world).emptied == 0
    assert world.one(lines, session) == before


def test_words_in_a_session_that_was_moved_go_too(world: World) -> None:
    session = renamed(world, talked(world), UUID("e2222222-2222-4222-8222-222222222222"))
    world.let_time_pass(364 * DAY)
    assert (swept(world).emptied, words(world, session)) == (0, 2)
    world.let_time_pass(2 * DAY)
    assert (swept(world).emptied, words(world, session)) == (1, 0)
    assert swept(world).emptied == 0


def test_the_settings_say_how_long(world: World) -> None:
    world.owner.execute(
        "INSERT INTO settings (key, value) VALUES ('retain_messages_days', '2'), ('retain_files_days', '5')"
    )
    session = talked(world)
    file = attachment(world, new_id(), session=session)
    session = aged(world, session, 3)
    assert (swept(world).emptied, state(world, file)) == (1, "clean")
    aged(world, session, 6, more=3)
    assert (swept(world).old, state(world, file)) == (1, "gone")


@pytest.mark.parametrize("value", ["0", "-1", "forever", "10000"])
def test_a_retention_is_a_number_of_days(world: World, value: str) -> None:
    with pytest.raises(Exception, match="settings_retention_is_days"):
        world.owner.execute("INSERT INTO settings (key, value) VALUES ('retain_files_days', %s)", [value])


def state(world: World, file: UUID) -> str:
    found: str = world.one("SELECT state FROM attachments WHERE id = %s", file)
    return found


def test_what_is_still_going_on_keeps_its_words_and_files(world: World) -> None:
    session = talked(world, ended=False)
    file = attachment(world, new_id(), session=session)
    session = aged(world, session, 400)
    assert swept(world) == FilesSwept(late=0, old=0, emptied=0, removed=0, unscanned=0)
    assert (words(world, session), state(world, file)) == (2, "clean")


def test_an_object_is_deleted_until_s3_says_so(world: World) -> None:
    file = attachment(world, new_id())
    world.owner.execute("UPDATE attachments SET state = 'refused' WHERE id = %s", [file])
    bucket = Bucket()
    bucket.kept = {f"uploads/{file}.png"}
    with pytest.raises(ExceptionGroup):
        swept(world, bucket)
    bucket.kept = set()
    assert (swept(world, bucket).removed, bucket.removed) == (1, [f"uploads/{file}.png"])
    assert (swept(world, bucket).removed, len(bucket.removed)) == (0, 1)


def test_an_object_that_is_not_deleted_holds_up_no_other(world: World) -> None:
    files = [attachment(world, new_id()) for _ in range(3)]
    for file in files:
        world.owner.execute("UPDATE attachments SET state = 'gone' WHERE id = %s", [file])
    bucket = Bucket()
    bucket.kept = {f"uploads/{files[0]}.png"}
    with pytest.raises(ExceptionGroup):
        swept(world, bucket)
    assert bucket.removed == [f"uploads/{file}.png" for file in files[1:]]


def test_a_bucket_that_refuses_everything_is_asked_three_times(world: World) -> None:
    files = [attachment(world, new_id()) for _ in range(5)]
    for file in files:
        world.owner.execute("UPDATE attachments SET state = 'gone' WHERE id = %s", [file])
    bucket = Bucket()
    bucket.kept = {f"uploads/{file}.png" for file in files}
    with pytest.raises(ExceptionGroup):
        swept(world, bucket)
    assert bucket.asked == 3


def test_a_run_without_time_leaves_the_rest_to_the_next(world: World) -> None:
    for _ in range(3):
        attachment(world, new_id(), state="promised")
    world.let_time_pass(DAY)
    assert swept(world, seconds=1.0).late == 0
    bucket = Bucket()
    assert (swept(world, bucket).late, len(bucket.removed)) == (3, 3)


def test_files_that_are_not_scanned_are_counted(world: World) -> None:
    attachment(world, new_id(), state="scanning")
    assert swept(world).unscanned == 0
    world.let_time_pass(16 * 60)
    assert swept(world).unscanned == 1
