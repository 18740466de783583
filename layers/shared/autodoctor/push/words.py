"""What a browser shows when it is called, in its reader's language, and where a click leads.

Nothing that somebody wrote: a locked screen is read by others too.
"""

import json
from typing import Final
from uuid import UUID

from autodoctor.notifications.kinds import CallKind, Facts, Kind
from autodoctor.notifications.words import catalogue, phrases
from autodoctor.push.service import PushMessage, Urgency

REQUEST_SECONDS: Final = 120
"""As long as an offer lasts."""
OTHER_SECONDS: Final = 300
_TRIAL: Final = "push_trial"


def message(kind: Kind | CallKind, locale: str, facts: Facts, topic: UUID, url: str) -> PushMessage:
    """The message of a kind.

    Args:
        kind: one of PUSHED.
        locale: of its reader.
        facts: what its words mention.
        topic: what it is about; a newer one takes its place, also where it is shown already.
        url: where a click leads, as seen from the console.

    Raises:
        KeyError: a fact that the words mention is missing.
    """
    words, said = catalogue(locale), phrases(locale, facts)
    title, text = words[f"{kind}.title"].format_map(said), words[f"{kind}.text"].format_map(said)
    waits = kind in (CallKind.REQUEST_WAITING, CallKind.REQUEST_OFFERED)
    shown = {"kind": kind, "title": title, "text": " ".join(text.split()), "topic": topic.hex, "url": url}
    return _message(shown, topic, REQUEST_SECONDS if waits else OTHER_SECONDS, "high")


def withdrawal(topic: UUID) -> PushMessage:
    """The message that takes one back: what is gone is not shown any more, or not shown at all."""
    return _message({"kind": "withdrawn", "topic": topic.hex}, topic, REQUEST_SECONDS, "normal")


def trial(locale: str, topic: UUID) -> PushMessage:
    """The message by which a user sees that calls work."""
    words = catalogue(locale)
    shown = {
        "kind": "trial",
        "title": words[f"{_TRIAL}.title"],
        "text": words[f"{_TRIAL}.text"],
        "topic": topic.hex,
        "url": "settings.html",
    }
    return _message(shown, topic, REQUEST_SECONDS, "high")


def _message(shown: dict[str, str], topic: UUID, ttl_seconds: int, urgency: Urgency) -> PushMessage:
    return PushMessage(json.dumps(shown, ensure_ascii=False).encode(), topic.hex, ttl_seconds, urgency)
