"""A message is one statement and one commit, and costs the same however long its room is."""

import json
from os import SEEK_END
from uuid import UUID

from autodoctor.ids import new_id
from autodoctor.room.messages import MessageRequest, post
from localcloud.database.postgres import PostgresServer
from support.database.statement_log import statements
from support.world import World

LONG = 100_000
SAY = (
    "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)"
    " SELECT * FROM post_message(%s, %s, %s, 'It squeals when I brake.', NULL)"
)


def pages(world: World, user: UUID, session: UUID) -> int:
    """The pages that the next message touches, of tables and indexes, everything that its function does included."""
    counted: list[int] = []
    for _ in range(5):
        [[plan]] = [world.one(SAY, session, user, new_id())]
        counted.append(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
    return sorted(counted)[2]


def test_its_cost_does_not_depend_on_how_long_the_room_is(world: World) -> None:
    parties = [(user := new_id(), world.waiting(world.mechanic(), user).session_id) for _ in range(2)]
    world.lift_limits()
    for (_, session), messages in zip(parties, (10, LONG), strict=True):
        world.owner.execute(
            "INSERT INTO session_messages (session_id, seq, client_id, role, kind, text)"
            " SELECT session_id, latest + n, gen_random_uuid(), 'customer', 'text', 'Hello'"
            "   FROM rooms, generate_series(1, %s) AS n WHERE session_id = %s",
            [messages, session],
        )
        world.owner.execute(
            "UPDATE rooms SET latest = latest + %s, customer_written = %s WHERE session_id = %s",
            [messages, messages, session],
        )
    world.owner.execute("VACUUM ANALYZE session_messages, rooms")
    short, long = (pages(world, user, session) for user, session in parties)
    assert long <= short + 2, json.dumps([short, long])


def test_it_is_one_statement(world: World, postgres_server: PostgresServer) -> None:
    customer = new_id()
    session = world.waiting(world.mechanic(), customer).session_id
    request = MessageRequest.model_validate({"clientId": new_id(), "text": "It squeals."})
    with postgres_server.log_file.open(errors="replace") as log:
        log.seek(0, SEEK_END)
        post(world.app, customer, session, request)
        sent = [each.text for each in statements(log)]
    assert len(sent) == 1, sent
    assert "post_message" in sent[0]
