"""The texts of each language: catalogues, and the formats of money, times and outcomes. No template engine here."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from autodoctor.notifications.kinds import Facts, Kind

LOCALES: Final = Path(__file__).parent / "locales"
FALLBACK: Final = "en"
_SECONDS_A_MINUTE: Final = 60
_CENTS: Final = 100
_WEB: Final = re.compile(r"://|www\.", re.IGNORECASE)


@cache
def locales() -> frozenset[str]:
    """The languages: the folders of `locales`."""
    return frozenset(folder.name for folder in LOCALES.iterdir() if (folder / "messages.json").is_file())


@cache
def catalogue(locale: str) -> Mapping[str, str]:
    """Every message of a language; English fills the gaps, and stands in for an unknown language."""
    messages: dict[str, str] = json.loads((LOCALES / FALLBACK / "messages.json").read_text(encoding="utf-8"))
    if locale in locales():
        messages |= json.loads((LOCALES / locale / "messages.json").read_text(encoding="utf-8"))
    return messages


def money(locale: str, cents: int, currency: str) -> str:
    """An amount, from integer cents of an ISO 4217 currency in lower case."""
    words = catalogue(locale)
    whole, rest = divmod(abs(cents), _CENTS)
    grouped = f"{whole:,}".replace(",", words["thousands"])
    number = f"{'-' if cents < 0 else ''}{grouped}{words['decimal']}{rest:02}"
    pattern = words.get(f"money.{currency}", words["money.other"])
    return pattern.format(number=number, currency=currency.upper())


def instant(locale: str, at: datetime) -> str:
    """A time in UTC, with the words that say so."""
    words, utc = catalogue(locale), at.astimezone(UTC)
    month = words["months"].split()[utc.month - 1]
    return words["instant"].format(day=utc.day, month=month, year=utc.year, time=f"{utc:%H:%M}")


def phrases(locale: str, facts: Facts) -> dict[str, str]:
    """Phrases made of the facts, to be put into a message; a missing fact has none."""
    words = catalogue(locale)
    found = {name: value for name in ("name", "mechanic", "vehicle") if (value := getattr(facts, name)) is not None}
    if facts.missed is not None:
        found["missed"] = str(facts.missed)
    if facts.session_type is not None:
        found["session_type"] = words[f"session_type.{facts.session_type}"]
    if facts.duration_seconds is not None:
        minutes, seconds = divmod(facts.duration_seconds, _SECONDS_A_MINUTE)
        found["duration"] = words["duration"].format(minutes=minutes, seconds=seconds)
    if facts.amount_cents is not None and facts.currency is not None:
        found["amount"] = money(locale, facts.amount_cents, facts.currency)
        if facts.refunded is not None:
            found["repaid"] = words["repaid.full" if facts.refunded else "repaid.not_yet"].format_map(found)
    found |= _on_receipt(locale, facts)
    if facts.bought is not None:
        found["bought"] = words[f"bought.{facts.bought}"].format_map(found)
    if facts.reason is not None:
        general = words[f"reason.{facts.reason}"]
        found["reason"] = words.get(f"reason.{facts.reason}.{facts.absent}", general)
    found |= _paid(locale, facts)
    found |= _decided(words, facts, found)
    found |= _given_back(words, facts, found)
    found |= _calling(locale, facts)
    found |= _instants(locale, facts)
    if facts.earned_for is not None:
        found["earned"] = words[f"earned.{facts.earned_for}"].format_map(found)
    return found


def _paid(locale: str, facts: Facts) -> dict[str, str]:
    """How a session was paid for, and what becomes of that where it is cancelled."""
    if facts.funding is None or facts.price_cents is None or facts.currency is None:
        return {}
    words = catalogue(locale)
    costs = {"price": money(locale, facts.price_cents, facts.currency), "credits": str(facts.credits)}
    refund = words[f"refund.{facts.funding}"]
    if facts.mechanic_id is not None:  # evidence may come late, or have been lost, and then a person decides
        refund = words.get(f"refund.{facts.funding}.accepted", refund)
    return {"refund": refund.format_map(costs), "paid": words[f"paid.{facts.funding}"].format_map(costs)}


def _given_back(words: Mapping[str, str], facts: Facts, found: Mapping[str, str]) -> dict[str, str]:
    """Why a session that was accepted is queued again, as its customer (back) or its mechanic (taken) is told."""
    actors = {"back": facts.released_by, "taken": facts.taken_by}
    return {
        name: words.get(f"{name}.{actor}", words[f"{name}.other"]).format_map(found)
        for name, actor in actors.items()
        if actor is not None
    }


def _decided(words: Mapping[str, str], facts: Facts, found: Mapping[str, str]) -> dict[str, str]:
    """What an admin decided of a contest, and what goes back by it, as its reader is told."""
    if facts.decided is None:
        return {}
    several = words["credits_back"].format(credits=facts.credits)
    credits_ = words.get(f"credits_back.{facts.credits}", several) if facts.credits else None
    returned = words["and"].join(each for each in (found.get("amount"), credits_) if each)
    decision = words[f"decided.{facts.reader}.{facts.decided}"].format_map({**found, "returned": returned})
    return {"returned": returned, "decision": decision}


def _calling(locale: str, facts: Facts) -> dict[str, str]:
    """What a call says of a request, and of who wrote."""
    words, found = catalogue(locale), {}
    if facts.urgent is not None:
        found["urgency"] = words["urgency.urgent"] if facts.urgent else ""
    if facts.pays_cents is not None and facts.currency is not None:
        pays = money(locale, facts.pays_cents, facts.currency)
        found["worth"] = words["worth.paid" if facts.pays_cents else "worth.free"].format(pays=pays)
    if facts.from_customer is not None:
        mechanic = facts.mechanic or words["writer.mechanic"]
        found["writer"] = words["writer.customer"] if facts.from_customer else mechanic
    return found


def _on_receipt(locale: str, facts: Facts) -> dict[str, str]:
    found = {} if facts.number is None else {"number": facts.number}
    if facts.tax_cents is not None and facts.currency is not None:
        found["tax"] = money(locale, facts.tax_cents, facts.currency)
    return found


def _instants(locale: str, facts: Facts) -> dict[str, str]:
    times = {name: getattr(facts, name) for name in ("started_at", "ended_at", "scheduled_for", "suspended_at")}
    return {name: instant(locale, at) for name, at in times.items() if at is not None}


def hello(locale: str, facts: Facts) -> str:
    """The greeting of a mail. A name that looks like a web address is an advertisement, and is left out."""
    words = catalogue(locale)
    if facts.name is None or _WEB.search(facts.name):
        return words["hello.unnamed"]
    return words["hello"].format(name=facts.name)


def in_app(kind: Kind, locale: str, facts: Facts) -> tuple[str, str]:
    """Title and text of a notification in the application, as plain text.

    Raises:
        KeyError: a fact that the text mentions is missing.
    """
    words, said = catalogue(locale), phrases(locale, facts)
    return words[f"{kind}.title"].format_map(said), words[f"{kind}.text"].format_map(said)


def subject(kind: Kind, locale: str, facts: Facts) -> str:
    """The subject of a mail, on one line whatever a name in it holds.

    Raises:
        KeyError: a fact that the subject mentions is missing.
    """
    said = catalogue(locale)[f"{kind}.subject"].format_map(phrases(locale, facts))
    return " ".join("".join(character if character.isprintable() else " " for character in said).split())
