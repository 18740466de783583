"""The local cloud's files: readable by their owner only, and no larger than their contents."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.gateway.open_sockets import OpenSockets
from localcloud.gateway.socket_events import Link
from localcloud.messaging.message_file import FILE as MESSAGE_FILE
from localcloud.messaging.message_file import MessageFile, forget_messages
from localcloud.services.mail import FILE as MAIL_FILE
from localcloud.services.mail import SentMail, mail_store
from localcloud.services.topics import FILE as ALERT_FILE
from localcloud.services.topics import Published, published_store
from localcloud.stripe.state.store import Store

MAIL = SentMail("1", "2026-01-01T00:00:00.000Z", "a@example.com", ("b@example.com",), "Hi", "Hi", "<p>Hi", None)
ALERT = Published("1", "2026-01-01T00:00:00.000Z", "alerts", "Hi", "Hi")
LINK = Link("AAAAAAAAAAAAAAA=", "WebSocketApi", "live", "127.0.0.1", 0, "127.0.0.1", "test")
BACKLOG = "INSERT INTO delivery (rule, target_id, event, attempts, created_at, due_at) VALUES ('', '', ?, 0, 0, 0)"


def others_may_read(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077]


@pytest.fixture
def everybody_may_read() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("everybody_may_read")
def test_nothing_is_readable_by_others(tmp_path: Path) -> None:
    (tmp_path / MAIL_FILE).touch(0o644)  # as an earlier release left it
    mail_store(tmp_path).add(MAIL)
    sockets = OpenSockets(tmp_path)
    sockets.take_over()
    sockets.opened(LINK)
    messages, books = MessageFile(tmp_path), Store(tmp_path)
    messages.write(BACKLOG, "")
    books.settle("clock", 0)
    expected = {"mail.jsonl", "open.jsonl", "messages.sqlite", "messages.sqlite-wal", "messages.sqlite-shm"}
    assert expected | {"stripe.sqlite", "stripe.sqlite-wal"} <= {file.name for file in tmp_path.rglob("*")}
    assert others_may_read(tmp_path) == []
    for each in (sockets, messages, books):
        each.close()


def test_a_mail_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    store = mail_store(tmp_path)
    store.add(MAIL)
    assert store.all() == mail_store(tmp_path).all() == [MAIL]
    mail_store(tmp_path).forget()
    assert store.all() == []
    store.add(MAIL)
    assert store.all() == [MAIL]


def test_a_line_that_a_killed_process_left_unfinished_hides_no_other(tmp_path: Path) -> None:
    store = published_store(tmp_path)
    store.add(ALERT)
    with (tmp_path / ALERT_FILE).open("a") as file:
        file.write('{"message_id": "2", "pub')
    store.add(ALERT)  # ends that line
    store.add(ALERT)
    assert store.all() == [ALERT, ALERT]


def test_a_message_file_shrinks_after_a_backlog_also_under_a_running_server(tmp_path: Path) -> None:
    running = MessageFile(tmp_path)
    with running.transaction():
        for _ in range(3000):
            running.write(BACKLOG, "x" * 4000)
    running.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    large = (tmp_path / MESSAGE_FILE).stat().st_size
    forget_messages(tmp_path)
    small = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert small < large / 20
    running.write(BACKLOG, "it goes on")
    assert [row["event"] for row in running.rows("SELECT event FROM delivery")] == ["it goes on"]
    running.close()
