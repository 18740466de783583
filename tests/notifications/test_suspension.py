"""A mechanic who is suspended is told so, with the reason, while it is true."""

from contextlib import closing

from autodoctor.db import Database as Connection
from autodoctor.events.model import SuspensionEvent, event_of
from autodoctor.ids import new_id
from autodoctor.operations.mechanic_privacy import erase_mechanic
from support.admin_changes import patch_mechanic
from support.events.mail_env import MailEnv
from support.world import Mechanic

WHY = "Three customers waited for you."


def suspended(mail_env: MailEnv) -> list[SuspensionEvent]:
    rows = mail_env.owner.execute("SELECT * FROM outbox_events WHERE type = 'mechanic.suspended' ORDER BY id")
    return [event for row in rows if isinstance(event := event_of(row), SuspensionEvent)]


def suspend(mail_env: MailEnv, mechanic: Mechanic, **fields: object) -> SuspensionEvent:
    patch_mechanic(mail_env.app, mechanic.id, new_id(), status="suspended", **fields)
    patch_mechanic(mail_env.app, mechanic.id, new_id(), status="suspended", **fields)  # changes nothing
    (event,) = suspended(mail_env)
    return event


def test_who_is_suspended_reads_why(mail_env: MailEnv, mechanic: Mechanic) -> None:
    event = suspend(mail_env, mechanic, suspensionReason=WHY)
    for _ in range(2):
        mail_env.tell(event)
    assert (mail_env.ses.kinds, mail_env.noted()) == (["suspended"], ["suspended"])
    assert mail_env.ses.recipients == ["mia@example.com"]
    assert WHY in str(mail_env.ses.asked)
    assert WHY not in str(mail_env.owner.execute("SELECT data FROM notifications").fetchall())
    assert WHY not in str(mail_env.owner.execute("SELECT * FROM outbox_events").fetchall())


def test_who_is_active_again_is_not_told(mail_env: MailEnv, mechanic: Mechanic) -> None:
    event = suspend(mail_env, mechanic)
    patch_mechanic(mail_env.app, mechanic.id, new_id(), status="active")
    mail_env.tell(event)
    assert mail_env.ses.kinds == []


def test_who_is_erased_is_not_told(mail_env: MailEnv, mechanic: Mechanic) -> None:
    with closing(Connection(lambda: mail_env.urls.owner_url)) as owner:
        erase_mechanic(owner, mechanic.user_id, "ada")
    assert suspended(mail_env) == []
