"""Rows: from a POST to the frame at the other side, alone and with a hundred rooms talking, and the queue meanwhile.

Through the whole product as the local cloud runs it. Quiet and talkative rounds take turns, so that what the machine
does meanwhile is in both.
"""

import hashlib
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString
from uuid import UUID

import httpx

from autodoctor.ids import new_id
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
TALKERS: Final = 4
ROUNDS, MESSAGES, REQUESTS = 6, 20, 20
MISSED: Final = 1_000
AT_MOST: Final = 1.2

_TICKET: Final[LiteralString] = """
INSERT INTO realtime_tickets (ticket_hash, user_id, groups, expires_at)
VALUES (%s, %s, ARRAY[%s], now() + interval '1 hour')
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


@dataclass(frozen=True)
class Pair:
    """A session that both parties are in, and what they call with."""

    session_id: UUID
    customer: dict[str, str]
    mechanic_user: UUID


class Product:
    """The deployment, its people and their connections."""

    def __init__(self, product: Deployed, http: httpx.Client) -> None:
        self.product = product
        self.http = http
        self.world = World(product.database)
        headers = {"Authorization": f"Bearer {product.customer()[1]}"}
        self.url = str(http.post("/api/realtime/ticket", headers=headers).raise_for_status().json()["url"])

    def pair(self) -> Pair:
        """A new session of a new customer with a new mechanic."""
        mechanic, customer = self.world.mechanic(), new_id()
        session = self.world.waiting(mechanic, customer).session_id
        token = self.product.cloud.issuer.token(str(customer), ["customers"])
        return Pair(session, {"Authorization": f"Bearer {token}"}, mechanic.user_id)

    def listener(self, user: UUID, group: str) -> FeedClient:
        """An open connection."""
        ticket = secrets.token_urlsafe()
        self.product.owner.execute(_TICKET, [hashlib.sha256(ticket.encode()).digest(), user, group])
        return FeedClient.with_ticket(self.url, ticket)

    def entered(self, pair: Pair) -> FeedClient:
        """The mechanic's connection, in the room."""
        client = self.listener(pair.mechanic_user, "mechanics")
        client.send({"action": "room", "sessionId": str(pair.session_id)})
        client.wait_for_type("room")
        return client

    def say(self, pair: Pair, text: str) -> None:
        """Write a message as the customer."""
        body = {"clientId": str(new_id()), "text": text}
        path = f"/api/sessions/{pair.session_id}/messages"
        self.http.post(path, json=body, headers=pair.customer).raise_for_status()


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
        other_side = stack.enter_context(product.entered(pair))
        on_duty = stack.enter_context(product.listener(product.world.mechanic().user_id, "mechanics"))
        crowd = [product.pair() for _ in range(ROOMS)]
        for each in crowd:
            stack.enter_context(product.entered(each))
        messages: dict[str, list[float]] = {"alone": [], "talkative": []}
        requests: dict[str, list[float]] = {"alone": [], "talkative": []}
        _one_round(product, pair, other_side, on_duty, [], [])  # everything is warm
        for _ in range(ROUNDS):
            _one_round(product, pair, other_side, on_duty, messages["alone"], requests["alone"])
            with _talking(product, crowd) as said:
                _one_round(product, pair, other_side, on_duty, messages["talkative"], requests["talkative"])
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
    for _ in range(MESSAGES):
        text = str(new_id())
        began = time.monotonic()
        product.say(pair, text)
        heard = other_side.wait_for(_has(text, "message"))
        messages.append((heard.at - began) * 1000)
    for _ in range(REQUESTS):
        headers = {"Authorization": f"Bearer {product.product.customer()[1]}"}
        began = time.monotonic()
        answer = product.http.post("/api/intake/start", json=INTAKE_WITH_WAIVER, headers=headers).raise_for_status()
        session = answer.json()["sessionId"]
        heard = on_duty.wait_for(_has(session, "new_assignment"))
        requests.append((heard.at - began) * 1000)


def _has(words: str, kind: str) -> Callable[[Received], bool]:
    return lambda frame: frame.type == kind and words in frame.text


@contextmanager
def _talking(product: Product, crowd: list[Pair]) -> Iterator[list[int]]:
    """The crowd says something every EVERY_SECONDS while the block runs; the list has a number for each message."""
    over, said = threading.Event(), list[int]()

    def talk(part: list[Pair]) -> None:
        pause = EVERY_SECONDS / len(part)
        while True:
            for pair in part:
                if over.wait(pause):
                    return
                product.say(pair, "It squeals when I brake.")
                said.append(len(said))

    threads = [threading.Thread(target=talk, args=(crowd[number::TALKERS],)) for number in range(TALKERS)]
    for thread in threads:
        thread.start()
    yield said
    over.set()
    for thread in threads:
        thread.join()


def _compared(
    what: str, taken: dict[str, list[float]], at_most: float | None, refused: str, said: list[int]
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
            cause=f"{len(taken['alone'])} of each; {len(said)} messages of the others in the last round",
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
        with product.listener(pair.mechanic_user, "mechanics") as client:
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
