"""Hands every event to `notify`, as the bus and its consumer would; SES takes every mail."""

from autodoctor.events.model import event_of
from autodoctor.notifications.mail import Mail
from autodoctor.notifications.notify import notify
from support.world import World


class Post:
    """Takes every mail."""

    def send(self, address: str, mail: Mail, kind: str) -> str:
        """Take one; its id."""
        return f"{kind} {mail.subject} {address}"


def tell_all(world: World) -> None:
    """Have everybody told of what is in the outbox, and empty it."""
    for row in world.owner.execute("SELECT * FROM outbox_events ORDER BY id").fetchall():
        notify(world.app, Post(), event_of(row))
    world.owner.execute("DELETE FROM outbox")
