"""Shared by tests of people who come: a socket that is open, a join that names it, and words in the room."""

from contextlib import ExitStack

from autodoctor.ids import new_id
from support.account import Caller
from support.events.feed_client import FeedClient


def connected(sockets: ExitStack, caller: Caller) -> tuple[FeedClient, str]:
    """An open socket of the caller, and the id by which a join names it."""
    client = sockets.enter_context(FeedClient.of(caller))
    client.send({"action": "identify"})
    return client, str(client.wait_for_type("connected").payload["connectionId"])


def come(sockets: ExitStack, caller: Caller, session: str, words: str) -> FeedClient:
    """Enter the room and say something."""
    client, connection_id = connected(sockets, caller)
    caller.post(f"{session}/join", {"connectionId": connection_id})
    caller.post(f"{session}/messages", {"clientId": str(new_id()), "text": words}, 201)
    return client
