"""The rooms that talk meanwhile: their people are in a process of their own, as they would be on machines of theirs."""

import itertools
import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier, Event
from typing import Final
from uuid import UUID

import httpx

from autodoctor.ids import new_id
from support.events.feed_client import FeedClient

TALKERS: Final = 4
_LONGEST_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Pair:
    """A session that both parties are in, and what they call with.

    Attributes:
        customer: headers of the customer's calls.
        mechanic_user: the mechanic's sub.
        ticket: lets one connection of the mechanic in.
    """

    session_id: UUID
    customer: dict[str, str]
    mechanic_user: UUID
    ticket: str


@dataclass(frozen=True)
class Addresses:
    """Where the product answers: its API, and the feed that tickets open."""

    api: str
    feed: str


def enter(addresses: Addresses, pair: Pair) -> FeedClient:
    """The mechanic's connection, in the room."""
    client = FeedClient.with_ticket(addresses.feed, pair.ticket)
    client.send({"action": "room", "sessionId": str(pair.session_id)})
    client.wait_for_type("room")
    return client


def say(http: httpx.Client, pair: Pair, text: str) -> None:
    """Write a message as the customer."""
    body = {"clientId": str(new_id()), "text": text}
    http.post(f"/api/sessions/{pair.session_id}/messages", json=body, headers=pair.customer).raise_for_status()


class Crowd:
    """Rooms whose mechanics listen all the time, and whose customers write while they are told to."""

    def __init__(self, talks: Event, pauses: Barrier) -> None:
        self._talks = talks
        self._pauses = pauses

    @contextmanager
    def talking(self) -> Iterator[None]:
        """They write as long as the block lasts."""
        self._talks.set()
        try:
            yield
        finally:
            self._talks.clear()
            self._pauses.wait(_LONGEST_SECONDS)


@contextmanager
def crowd(addresses: Addresses, pairs: Sequence[Pair], every_seconds: float) -> Iterator[Crowd]:
    """Have these rooms entered, as long as the block lasts.

    Args:
        addresses: of the product.
        pairs: who is in them.
        every_seconds: how often each room says something while it talks.
    """
    context = multiprocessing.get_context("spawn")
    talks, ends = context.Event(), context.Event()
    enters, pauses = context.Barrier(2), context.Barrier(2)
    process = context.Process(
        target=_people, args=(addresses, pairs, every_seconds, talks, ends, enters, pauses), daemon=True
    )
    process.start()
    try:
        enters.wait(_LONGEST_SECONDS)
        yield Crowd(talks, pauses)
    finally:
        ends.set()
        talks.set()
        process.join(_LONGEST_SECONDS)
    if process.exitcode:
        raise RuntimeError(f"the rooms that talk meanwhile ended with {process.exitcode}")


def _people(  # noqa: PLR0913, PLR0917 (what a process is started with)
    addresses: Addresses,
    pairs: Sequence[Pair],
    every_seconds: float,
    talks: Event,
    ends: Event,
    enters: Barrier,
    pauses: Barrier,
) -> None:
    """What the other process does: enter all rooms, then talk in them whenever `talks` is set, until `ends` is."""
    with ExitStack() as stack, httpx.Client(base_url=addresses.api, timeout=60, trust_env=False) as http:
        for pair in pairs:
            stack.enter_context(enter(addresses, pair))
        enters.wait(_LONGEST_SECONDS)
        while talks.wait() and not ends.is_set():
            parts = [pairs[number::TALKERS] for number in range(TALKERS)]
            with ThreadPoolExecutor(TALKERS) as talkers:
                for talked in [talkers.submit(_talk, http, part, every_seconds, talks) for part in parts]:
                    talked.result()
            pauses.wait(_LONGEST_SECONDS)


def _talk(http: httpx.Client, pairs: Sequence[Pair], every_seconds: float, talks: Event) -> None:
    over = threading.Event()
    for pair in itertools.cycle(pairs):
        over.wait(every_seconds / len(pairs))
        if not talks.is_set():
            return
        say(http, pair, "It squeals when I brake.")
