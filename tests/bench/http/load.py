"""Clients that walk whole consultations over HTTP, one request after the other each."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bench.http.stacks import Deployed
from localcloud.commands.samples import INTAKE_WITH_WAIVER

CLIENTS: Final = 8
REQUESTS_PER_WALK: Final = 8


@dataclass(frozen=True)
class Pair:
    """A customer's and a mechanic's headers."""

    customer: dict[str, str]
    mechanic: dict[str, str]


class Load:
    """Eight clients of one deployment."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._pairs = [
            Pair(*({"Authorization": f"Bearer {token}"} for _, token in (deployed.customer(), deployed.mechanic())))
            for _ in range(CLIENTS)
        ]

    def rate(self, walks: int) -> float:
        """Requests a second while every client walks so many consultations; what they leave behind comes after."""
        rate = asyncio.run(self._run(walks))
        self._deployed.rest()
        return rate

    async def _run(self, walks: int) -> float:
        async with aiohttp.ClientSession(self._deployed.cloud.api_url) as http:
            began = time.perf_counter()
            await asyncio.gather(*(_walk(http, pair, walks) for pair in self._pairs))
            return CLIENTS * walks * REQUESTS_PER_WALK / (time.perf_counter() - began)


async def _walk(http: aiohttp.ClientSession, pair: Pair, walks: int) -> None:
    for _ in range(walks):
        made = await _call(http, "POST", "/api/intake/start", pair.customer, INTAKE_WITH_WAIVER)
        session = f"/api/sessions/{made['sessionId']}"
        await _call(http, "GET", "/api/mechanic/queue", pair.mechanic)
        await _call(http, "POST", f"/api/mechanic/assignments/{made['assignmentId']}/accept", pair.mechanic)
        await _call(http, "GET", "/api/customer/active-session", pair.customer)
        await _call(http, "POST", f"{session}/join", pair.customer)
        await _call(http, "POST", f"{session}/join", pair.mechanic)
        await _call(http, "GET", session, pair.customer)
        await _call(http, "POST", f"{session}/end", pair.mechanic)


async def _call(
    http: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str], body: object = None
) -> dict[str, Any]:
    async with http.request(method, path, headers=headers, json=body) as response:
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
        answer: dict[str, Any] = await response.json()
        return answer
