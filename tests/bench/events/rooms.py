"""Rows: from a POST to the frame at the other side, alone and with a hundred rooms talking, and the queue meanwhile.

Through the whole product as the local cloud runs it. Quiet and talkative rounds take turns, so that what the machine
does meanwhile is in both; in both a message and a request go out at the same pace, and the crowd is in a process of
its own, so that what is measured waits for the product and not for this interpreter.
"""

import hashlib
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, LiteralString
from uuid import UUID

import httpx

from autodoctor.ids import new_id
from bench.events.crowd import Addresses, Pair, crowd, enter, say
from bench.http.server import bench_server
from bench.http.stacks import Deployed, Variant, deployed
from bench.measure import machine
from bench.measure.judge import MAX_BUSY, Row, Target, percentile
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.events.feed_client import FeedClient, Received
from support.world import World

ROOMS: Final = 100
EVERY_SECONDS: Final = 10.0
"""How often each of the hundred rooms says something: ten messages a second in all."""
ROUNDS, EACH = 10, 30
APART_SECONDS: Final = 0.25
"""From a request to the next one: with its feed, its push and its mail it keeps two cores busy for 50 ms."""
MISSED: Final = 1_000
AT_MOST: Final = 1.2

_TICKET: Final[LiteralString] = """
INSERT INTO realtime_tickets (ticket_hash, user_id, groups, expires_at)
VALUES (%s, %s, ARRAY['mechanics'], now() + interval '1 hour')
"""
_MISSED: Final[LiteralString] = """
WITH written AS (
  INSERT INTO session_messages (session_id, seq, client_id, role, kind, text)
  SELECT r.session_id, r.latest + n, gen_random_uuid(), 'customer', 'text', 'It squeals when I brake, number ' || n
    FROM rooms r, generate_series(1, %s) AS n WHERE r.session_id = %s RETURNING 1)
UPDATE rooms SET latest = latest + (SELECT count(*) FROM written),
                 customer_written = customer_written + (SELECT count(*) FROM written)
 WHERE session_id = %s
"""


class Product:
    """The deployment, its people and their connections."""

    def __init__(self, product: Deployed, http: httpx.Client) -> None:
        self.product = product
        self.http = http
        self.world = World(product.database)
        headers = {"Authorization": f"Bearer {product.customer()[1]}"}
        feed = str(http.post("/api/realtime/ticket", headers=headers).raise_for_status().json()["url"])
        self.addresses = Addresses(product.cloud.api_url, feed)

    def pair(self) -> Pair:
        """A new session of a new customer with a new mechanic."""
        mechanic, customer = self.world.mechanic(), new_id()
        session = self.world.waiting(mechanic, customer).session_id
        token = self.product.cloud.issuer.token(str(customer), ["customers"])
        return Pair(session, {"Authorization": f"Bearer {token}"}, mechanic.user_id, self.ticket(mechanic.user_id))

    def listener(self, mechanic: UUID) -> FeedClient:
        """An open connection of a mechanic."""
        return FeedClient.with_ticket(self.addresses.feed, self.ticket(mechanic))

    def messages(self) -> int:
        """How many were written so far, by everybody."""
        row = self.product.owner.execute("SELECT sum(customer_written) FROM rooms").fetchone()
        assert row is not None
        return int(str(row[0]))

    def ticket(self, mechanic: UUID) -> str:
        """What lets a mechanic's connections in, for an hour."""
        ticket = secrets.token_urlsafe()
        self.product.owner.execute(_TICKET, [hashlib.sha256(ticket.encode()).digest(), mechanic])
        return ticket


def rows() -> Iterator[Row]:
    """Latencies of messages and of the queue, quiet against talkative; then a replay."""
    busy = machine.busy()  # before the rooms are entered, which keeps the account here busy for seconds
    with (
        bench_server(durable=True) as server,
        tempfile.TemporaryDirectory() as folder,
        deployed(server, "room", Variant({}), Path(folder) / "room") as running,
        httpx.Client(base_url=running.cloud.api_url, timeout=60, trust_env=False) as http,
        ExitStack() as stack,
    ):
        product = Product(running, http)
        pair = product.pair()
        other_side = stack.enter_context(enter(product.addresses, pair))
        on_duty = stack.enter_context(product.listener(product.world.mechanic().user_id))
        pairs = [product.pair() for _ in range(ROOMS)]
        others = stack.enter_context(crowd(product.addresses, pairs, EVERY_SECONDS))
        messages: dict[str, list[float]] = {"alone": [], "talkative": []}
        requests: dict[str, list[float]] = {"alone": [], "talkative": []}
        _one_round(product, pair, other_side, on_duty, [], [])  # everything is warm
        before = product.messages()
        for _ in range(ROUNDS):
            _one_round(product, pair, other_side, on_duty, messages["alone"], requests["alone"])
            with others.talking():
                _one_round(product, pair, other_side, on_duty, messages["talkative"], requests["talkative"])
        said = product.messages() - before - 2 * len(messages["alone"])
        refused = f"others used {busy:.0%} of the processors" if busy > MAX_BUSY else ""
        yield from _compared("POST of a message to the frame at the other side", messages, None, refused, said)
        yield from _compared("an intake to new_assignment at a mechanic", requests, AT_MOST, refused, said)
        yield from _replay(product, pair, refused)


def _one_round(  # noqa: PLR0913, PLR0917 (two clients and two lists)
    product: Product,
    pair: Pair,
    other_side: FeedClient,
    on_duty: FeedClient,
    messages: list[float],
    requests: list[float],
) -> None:
    """Messages and requests at a pace, whatever each takes: in a closed loop each waits for the last one's mails."""
    for due in _pace():
        text = str(new_id())
        began = time.monotonic()
        say(product.http, pair, text)
        heard = other_side.wait_for(_has(text, "message"))
        messages.append((heard.at - began) * 1000)
        headers = {"Authorization": f"Bearer {product.product.customer()[1]}"}
        _wait_until(due)
        began = time.monotonic()
        answer = product.http.post("/api/intake/start", json=INTAKE_WITH_WAIVER, headers=headers).raise_for_status()
        session = answer.json()["sessionId"]
        heard = on_duty.wait_for(_has(session, "new_assignment"))
        requests.append((heard.at - began) * 1000)


def _pace() -> Iterator[float]:
    """The moments, by time.monotonic(), at which the requests of a round are due; the message goes before each."""
    start = time.monotonic()
    for number in range(EACH):
        _wait_until(start + number * APART_SECONDS)
        yield start + (number + 0.5) * APART_SECONDS


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _has(words: str, kind: str) -> Callable[[Received], bool]:
    return lambda frame: frame.type == kind and words in frame.text


def _compared(
    what: str, taken: dict[str, list[float]], at_most: float | None, refused: str, said: int
) -> Iterator[Row]:
    for share in (0.5, 0.99):
        yield Row(
            name=f"{what}, p{share * 100:.0f}, {ROOMS} rooms talking",
            unit="ms",
            measured=percentile(taken["talkative"], share),
            reference=percentile(taken["alone"], share),
            reference_name="alone",
            target=None if at_most is None else Target(at_most),
            refused=refused,
            cause=f"{len(taken['alone'])} of each; {said:,} messages of the others",
            samples=taken,
        )


def _replay(product: Product, pair: Pair, refused: str) -> Iterator[Row]:
    after = product.product.owner.execute(
        "SELECT latest FROM rooms WHERE session_id = %s", [pair.session_id]
    ).fetchone()
    assert after is not None
    product.product.owner.execute(_MISSED, [MISSED, pair.session_id, pair.session_id])
    taken, frames, sizes = list[float](), 0, 0
    for _ in range(5):
        with product.listener(pair.mechanic_user) as client:
            began = time.monotonic()
            client.send({"action": "room", "sessionId": str(pair.session_id), "after": after[0]})
            whole = client.wait_for(lambda frame: frame.type == "room" and frame.message["complete"])
            taken.append((whole.at - began) * 1000)
            parts = client.of_type("room")
            frames, sizes = len(parts), sum(len(part.text.encode()) for part in parts)
    yield Row(
        name=f"a client that missed {MISSED:,} messages has them",
        unit="ms",
        measured=statistics.median(taken),
        refused=refused,
        cause=f"{frames} frames, {sizes:,} bytes",
        samples={"replays": taken},
    )
