"""Webhooks: two endpoints with secrets of their own; each event is signed, posted, and retried until it is accepted."""

import asyncio
import json
import random
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Final, Literal

import aiohttp

from localcloud.host.logline import Log, LogLine, session_named
from localcloud.stripe.http.errors import Json
from localcloud.stripe.http.faults import Faults
from localcloud.stripe.http.sdk import sdk
from localcloud.stripe.objects import checkout
from localcloud.stripe.state.state import State

type Name = Literal["platform", "connect"]
type Order = Literal["as_made", "reversed", "shuffled"]

NAMES: Final[tuple[Name, ...]] = ("platform", "connect")
PATHS: Final[dict[Name, str]] = {"platform": "/api/stripe/webhook", "connect": "/api/stripe/connect-webhook"}
EVENTS: Final[dict[Name, tuple[str, ...]]] = {
    "platform": (
        "checkout.session.*",
        "charge.refunded",
        "charge.dispute.*",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "transfer.reversed",
    ),
    "connect": ("account.updated", "account.application.deauthorized", "payout.failed", "payout.paid"),
}
_ONCE: Final = ("charge.dispute.created", "charge.dispute.closed", "refund.failed")
"""The types in place of `refund.*` and `charge.dispute.*` that earlier versions gave the platform's endpoint."""
_SETTING: Final = "endpoint_"
_AT_ONCE: Final = 8
_TICK_SECONDS: Final = 1.0
_NO_ANSWER: Final = 0


@dataclass(frozen=True)
class Endpoint:
    """A destination of events. `url` empty: the gateway's own route. `secrets`: the active ones, the newest first."""

    name: Name
    secrets: tuple[str, ...]
    url: str = ""
    events: tuple[str, ...] = ()


@dataclass(frozen=True)
class Retries:
    """How deliveries are retried, in seconds; the pause doubles up to `longest`. Stripe retries for three days."""

    first: float = 1.0
    longest: float = 60.0
    attempts: int = 20
    answer_within: float = 20.0


@dataclass(frozen=True)
class Delivered:
    """The result of one attempt; `status` is 0 when there was no answer."""

    event_id: str
    kind: str
    status: int


def signature(payload: str, keys: Iterable[str], timestamp: int | None = None) -> str:
    """Return the `Stripe-Signature` header: one timestamp (now unless given), one signature per active secret."""
    moment = int(time.time()) if timestamp is None else timestamp
    headers = [sdk().WebhookSignature.generate_signature_header(payload, key, moment) for key in keys]
    return ",".join([f"t={moment}", *(header.partition(",")[2] for header in headers)])


class Webhooks:
    """Queues events for the endpoints, and delivers them once started."""

    def __init__(self, state: State, faults: Faults, gateway_url: str, log: Log) -> None:
        self._state = state
        self._faults = faults
        self._gateway_url = gateway_url
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakened = asyncio.Event()
        self._client: aiohttp.ClientSession | None = None
        self._at_work: dict[int, asyncio.Task[Delivered]] = {}
        self._running: asyncio.Task[None] | None = None
        self.retries = Retries()
        with state.store.transaction():
            for name in NAMES:
                if not state.store.setting(_SETTING + name, None):
                    self.configure(Endpoint(name, (_new_secret(),), events=EVENTS[name]))
            platform = self.endpoint("platform")
            if set(_ONCE) <= set(platform.events):
                self.configure(replace(platform, events=EVENTS["platform"]))
        state.listeners.append(self._queue)

    def endpoint(self, name: Name) -> Endpoint:
        """Return an endpoint, its URL filled in."""
        kept = self._state.store.setting(_SETTING + name, dict[str, object]())
        return Endpoint(
            name,
            tuple(_texts(kept["secrets"])),
            str(kept["url"]) or self._gateway_url + PATHS[name],
            tuple(_texts(kept["events"])),
        )

    def configure(self, endpoint: Endpoint) -> None:
        """Store an endpoint's secrets, events and, unless it is the gateway's own, URL."""
        kept = asdict(replace(endpoint, url="" if self._is_own(endpoint) else endpoint.url))
        self._state.store.settle(_SETTING + endpoint.name, kept)

    def _is_own(self, endpoint: Endpoint) -> bool:
        return endpoint.url == self._gateway_url + PATHS[endpoint.name]

    def rotate(self, name: Name) -> str:
        """Add a secret, which from now on signs in addition to the others, and return it."""
        before = self.endpoint(name)
        made = _new_secret()
        self.configure(replace(before, secrets=(made, *before.secrets)))
        return made

    def retire(self, name: Name) -> None:
        """Let only the newest secret sign."""
        before = self.endpoint(name)
        self.configure(replace(before, secrets=before.secrets[:1]))

    def payload(self, event: Json) -> str:
        """Return the body of a delivery in Stripe's layout, which re-serialising would not reproduce."""
        return json.dumps(self._state.shown(event), indent=2, ensure_ascii=False)

    def _queue(self, event: Json, account: str | None) -> None:
        name: Name = "connect" if account else "platform"
        if not any(fnmatchcase(event["type"], pattern) for pattern in self.endpoint(name).events):
            return
        due = self._faults.due_times(event["type"], self._state.now())
        for moment in due:
            self._insert(event["id"], name, moment)
        if not due:
            self._state.store.write(
                "INSERT INTO delivery (event_id, endpoint, due_at, state) VALUES (?, ?, ?, 'dropped')",
                *(event["id"], name, self._state.now()),
            )
        self.wake()

    def _insert(self, event_id: str, name: Name, due_at: float) -> None:
        self._state.store.write(
            "INSERT INTO delivery (event_id, endpoint, due_at) VALUES (?, ?, ?)", event_id, name, due_at
        )

    def wake(self) -> None:
        """Check for due deliveries now; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wakened.set)

    def pending(self) -> int:
        """Count the deliveries that are still to come."""
        row = self._state.store.one("SELECT count(*) AS pending FROM delivery WHERE state = 'pending'")
        return row["pending"] if row else 0

    def start(self) -> None:
        """Deliver pending events, and those to come."""
        self._loop = asyncio.get_running_loop()
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(self._report)

    async def stop(self) -> None:
        """Stop; the next start delivers what is still pending."""
        self._loop = None
        tasks = [*self._at_work.values(), *([self._running] if self._running else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._log(LogLine("stripe", f"delivering has stopped: {type(error).__name__}: {error}"))

    async def _run(self) -> None:
        while True:
            self._wakened.clear()
            with self._state.store.transaction():
                checkout.expire_due(self._state)
            if not self._faults.webhooks.held:
                self._start_due()
            try:
                async with asyncio.timeout(self._pause()):
                    await self._wakened.wait()
            except TimeoutError:
                continue

    def _pause(self) -> float:
        """Return the seconds until the next delivery is due; one that ends wakes us earlier."""
        row = self._state.store.one(
            "SELECT min(due_at) AS at FROM delivery WHERE state = 'pending' AND due_at > ?", self._state.now()
        )
        if row is None or row["at"] is None:
            return _TICK_SECONDS
        return max(0.0, min(_TICK_SECONDS, float(row["at"]) - self._state.now()))

    def _start_due(self) -> None:
        rows = self._state.store.rows(
            "SELECT delivery_id FROM delivery WHERE state = 'pending' AND due_at <= ? ORDER BY due_at LIMIT ?",
            *(self._state.now(), 2 * _AT_ONCE),
        )
        for row in rows:
            if len(self._at_work) >= _AT_ONCE:
                return
            if row["delivery_id"] not in self._at_work:
                self._begin(row["delivery_id"])

    def _begin(self, delivery_id: int) -> asyncio.Task[Delivered]:
        """Start a delivery in the background; it must not be running already."""

        def done(task: asyncio.Task[Delivered]) -> None:
            del self._at_work[delivery_id]
            if not task.cancelled() and (error := task.exception()):
                self._log(LogLine("stripe", f"a delivery has failed: {type(error).__name__}: {error}"))
            self._wakened.set()

        task = asyncio.create_task(self._deliver(delivery_id))
        self._at_work[delivery_id] = task
        task.add_done_callback(done)
        return task

    async def _deliver(self, delivery_id: int) -> Delivered:
        row = self._state.store.one("SELECT * FROM delivery WHERE delivery_id = ?", delivery_id)
        assert row is not None
        found = self._state.store.get(row["event_id"])
        assert found is not None
        endpoint = self.endpoint(row["endpoint"])
        status = await self._post(endpoint, self.payload(found[1]))
        kind = found[1]["type"]
        self._note(delivery_id, row["attempts"] + 1, status)
        line = LogLine("stripe", f"{kind} -> {endpoint.name}", str(status or "no answer"), None, row["event_id"])
        self._log(replace(line, session=session_named(json.dumps(found[1]["data"]["object"]).encode())))
        return Delivered(row["event_id"], kind, status)

    async def _post(self, endpoint: Endpoint, payload: str) -> int:
        """Post, and return the status; 0 when there is no answer in time."""
        header = await asyncio.to_thread(signature, payload, endpoint.secrets)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": header,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        if self._client is None:
            self._client = aiohttp.ClientSession()
        within = aiohttp.ClientTimeout(total=self.retries.answer_within)
        try:
            async with self._client.post(
                endpoint.url, data=payload.encode(), headers=headers, timeout=within, allow_redirects=False
            ) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return _NO_ANSWER

    def _note(self, delivery_id: int, attempts: int, status: int) -> None:
        taken = 200 <= status < 300
        over = "delivered" if taken else "given_up" if attempts >= self.retries.attempts else "pending"
        pause = min(self.retries.longest, self.retries.first * 2.0 ** (attempts - 1))
        self._state.store.write(
            "UPDATE delivery SET attempts = ?, last_status = ?, state = ?, due_at = ? WHERE delivery_id = ?",
            *(attempts, status, over, self._state.now() + pause, delivery_id),
        )

    async def release(self, order: Order, chance: random.Random) -> list[Delivered]:
        """Deliver all that is pending now, due or not, one after the other; failed ones are retried later."""
        rows = self._state.store.rows("SELECT delivery_id FROM delivery WHERE state = 'pending' ORDER BY delivery_id")
        ids = [row["delivery_id"] for row in rows if row["delivery_id"] not in self._at_work]
        if order == "reversed":
            ids.reverse()
        elif order == "shuffled":
            chance.shuffle(ids)
        return [await self._begin(delivery_id) for delivery_id in ids]

    async def resend(self, event_id: str) -> Delivered:
        """Deliver an event once more, as by the button in the dashboard."""
        found = self._state.store.get(event_id)
        assert found is not None, event_id
        name: Name = "connect" if "account" in found[1] else "platform"
        with self._state.store.transaction():
            self._insert(event_id, name, self._state.now())
            row = self._state.store.one("SELECT last_insert_rowid() AS id")
        assert row is not None
        return await self._begin(row["id"])


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(each) for each in value]


def _new_secret() -> str:
    return "whsec_" + secrets.token_hex(24)
