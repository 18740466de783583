"""An operator writes into a room, and offers a waiting request to a mechanic by name; both are audited."""

from uuid import UUID

import pytest

from autodoctor.admin.operator_help import NotOffered, OfferRequest, OperatorMessageRequest, offer, write
from autodoctor.errors import SessionEnded, SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from support.admin_changes import changes
from support.world import World

ADMIN = new_id()
WORDS = OperatorMessageRequest(text="We are looking for somebody, Nora.")


def to(mechanic_id: UUID) -> OfferRequest:
    return OfferRequest.model_validate({"mechanicId": str(mechanic_id)})


def test_an_operator_writes_into_a_room_until_its_session_is_over(world: World) -> None:
    session = world.queued(customer := new_id()).session_id
    write(world.app, ADMIN, session, WORDS)
    (said,) = world.owner.execute("SELECT role, note, text FROM session_messages WHERE note = 'operator'").fetchall()
    assert (said["role"], said["text"]) == ("system", WORDS.text)
    (change,) = changes(world)
    assert (change["actor_id"], change["kind"], change["subject"]) == (ADMIN, "session.messaged", str(session))
    assert "Nora" not in str(change)
    world.end(customer, session)
    with pytest.raises(SessionEnded):
        write(world.app, ADMIN, session, WORDS)
    with pytest.raises(SessionNotFound):
        write(world.app, ADMIN, new_id(), WORDS)
    world.owner.execute("SELECT erase_customer(%s, 'ada')", [customer])
    assert world.one("SELECT text FROM session_messages WHERE note = 'operator'") == ""


def test_a_waiting_request_is_offered_to_a_mechanic_who_may_be_away(world: World) -> None:
    created, mechanic = world.queued(), world.mechanic(available_until=None)
    asked = to(mechanic.id)
    for _ in range(2):  # the second changes nothing
        assert offer(world.app, ADMIN, created.session_id, asked).mechanic_id == mechanic.id
    offered = world.owner.execute(
        "SELECT status, mechanic_id, offer_expires_at > now() AS lasts FROM session_assignments WHERE session_id = %s",
        [created.session_id],
    ).fetchall()
    assert offered == [{"status": "offered", "mechanic_id": mechanic.id, "lasts": True}]
    assert [change["kind"] for change in changes(world)] == ["session.offered"]
    world.accept(mechanic, created)
    assert world.status(created.session_id) == "waiting"


def test_who_cannot_take_a_request_is_not_offered_it(world: World) -> None:
    session = world.queued(customer := new_id()).session_id
    busy, own, suspended = world.mechanic(), world.mechanic(user_id=customer), world.mechanic()
    world.waiting(busy)
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [suspended.id])
    for mechanic, reason in ((busy, "busy"), (own, "own_session"), (suspended, "suspended")):
        with pytest.raises(NotOffered) as refused:
            offer(world.app, ADMIN, session, to(mechanic.id))
        assert refused.value.extras == {"reason": reason}
    free = to(world.mechanic().id)
    with pytest.raises(Unprocessable):
        offer(world.app, ADMIN, session, to(session))
    with pytest.raises(SessionNotFound):
        offer(world.app, ADMIN, new_id(), free)
    world.end(customer, session)
    with pytest.raises(NotOffered, match="not waiting"):
        offer(world.app, ADMIN, session, free)
    assert changes(world) == []
