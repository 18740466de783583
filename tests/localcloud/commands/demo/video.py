"""How the people of a demo hold a call: each sends a picture and a tone, and hears the other's."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.commands.demo.people import Caller, DemoStopped

CALL_SECONDS: Final = 5
_WITHIN_SECONDS: Final = 60.0


def hold_call(customer: Caller, mechanic: Caller, session: str, say: Callable[[str], None]) -> None:
    """Both enter the call of a session that the mechanic has accepted, and stay for CALL_SECONDS.

    Args:
        session: the path of the session.

    Raises:
        DemoStopped: they do not get to hear each other.
    """
    places = [caller.call("POST", f"{session}/call") for caller in (customer, mechanic)]
    say(f"  {customer.person.name} and {mechanic.person.name} start their cameras.")
    try:
        since, until, packets = asyncio.run(_held(places, say))
    except TimeoutError as error:
        raise DemoStopped(f"nobody heard the other within {_WITHIN_SECONDS:.0f} s") from error
    for caller in (customer, mechanic):
        window = {"from": since.isoformat(), "until": until.isoformat(), "packets": packets}
        caller.call("POST", f"{session}/call/report", {**window, "now": datetime.now(UTC).isoformat()})


async def _held(places: list[dict[str, Any]], say: Callable[[str], None]) -> tuple[datetime, datetime, int]:
    """Hold it; from when to when both heard each other, and how many frames the customer got."""
    from localcloud.media.caller import Caller as Party  # noqa: PLC0415 (aiortc takes a second to load)

    one, other = (Party(each["meeting"], each["attendee"]) for each in places)
    async with one, other:
        async with asyncio.timeout(_WITHIN_SECONDS):
            await asyncio.gather(one.hears(), other.hears())
        since = datetime.now(UTC)
        say(f"  ... they see and hear each other for {CALL_SECONDS} s ...")
        await asyncio.sleep(CALL_SECONDS)
        return since, datetime.now(UTC), sum(one.heard.values())
