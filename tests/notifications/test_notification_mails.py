"""Every mail in every language: complete, and escaped and on one line where it must be."""

from html.parser import HTMLParser
from itertools import product

import pytest
from jinja2 import UndefinedError

from autodoctor.ids import new_id
from autodoctor.notifications.kinds import Facts, Kind, to_keep
from autodoctor.notifications.mail import MissingFact, render
from autodoctor.notifications.samples import sample
from autodoctor.notifications.words import LOCALES, catalogue, in_app, instant, locales, money, subject

BASE = "https://sessions.example"
HOSTILE = "<script>alert(1)</script>\r\nBcc: eve@example.com\x1b[31m{concern}{{7*7}}"


class Reader(HTMLParser):
    """The visible text of the HTML part, its elements, and its links."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.text, self.tags, self.links = "", [], []  # type: ignore[var-annotated]
        self.feed(document)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]


def words_of(text: str) -> set[str]:
    return set(text.split())


@pytest.mark.parametrize(("kind", "locale"), list(product(Kind, sorted(locales()))))
def test_every_mail_is_written_in_every_language(kind: Kind, locale: str) -> None:
    mail = render(kind, locale, sample(kind), BASE)
    seen = Reader(mail.html)
    assert mail.subject
    assert "{" not in mail.subject + mail.text + seen.text
    assert "None" not in mail.text + seen.text
    assert f'<html lang="{locale}">' in mail.html
    assert f"{BASE}/settings/notifications" in mail.text
    assert f"{BASE}/settings/notifications" in seen.links
    # what the text says of facts, the HTML says too
    for fact in ("Mia", "2099", "UTC", "29", "Volvo"):
        assert (fact in mail.text) == (fact in seen.text), fact


@pytest.mark.parametrize("kind", Kind)
def test_each_language_has_its_own_words(kind: Kind) -> None:
    english, spanish = (render(kind, locale, sample(kind), BASE) for locale in ("en", "es"))
    assert english.subject != spanish.subject
    assert len(words_of(english.text) & words_of(spanish.text)) < len(words_of(english.text)) / 2


def files_of(locale: str) -> set[str]:
    folder = LOCALES / locale
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("locale", sorted(locales()))
def test_a_language_has_every_template_and_message(locale: str) -> None:
    assert set(catalogue(locale)) == set(catalogue("en"))
    assert files_of(locale) == files_of("en")
    assert len(catalogue(locale)["months"].split()) == 12


@pytest.mark.parametrize("locale", sorted(locales()))
def test_a_mail_has_one_template_a_part_in_the_same_folder(locale: str) -> None:
    """The template is found by its name in any folder, so it must not stand in two."""
    html, text = (
        sorted(file.relative_to(part).with_suffix("") for file in part.rglob("*.*"))
        for part in (LOCALES / locale / "html", LOCALES / locale / "text")
    )
    assert html == text
    assert sorted(file.name for file in html) == sorted(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_an_unknown_language_is_english(kind: Kind) -> None:
    assert render(kind, "fr", sample(kind), BASE) == render(kind, "en", sample(kind), BASE)


@pytest.mark.parametrize(("kind", "locale"), list(product(Kind, sorted(locales()))))
def test_words_of_users_cannot_become_markup_headers_or_templates(kind: Kind, locale: str) -> None:
    hostile = dict.fromkeys(("name", "mechanic", "concern", "vehicle", "notes"), HOSTILE)
    mail = render(kind, locale, sample(kind).model_copy(update=hostile), BASE)
    assert "script" not in Reader(mail.html).tags
    assert "<script>" not in mail.html
    assert not [character for character in mail.subject if not character.isprintable()]
    assert "{{7*7}}" in mail.text


@pytest.mark.parametrize(("locale", "greeting"), [("en", "Hello,"), ("es", "Hola:")])
@pytest.mark.parametrize("name", ["Win at https://casino.example", "WWW.casino.example"])
def test_a_name_that_is_an_advertisement_is_not_repeated(name: str, locale: str, greeting: str) -> None:
    for kind in Kind:
        mail = render(kind, locale, sample(kind).model_copy(update={"name": name}), BASE)
        assert mail.text.startswith(f"{greeting}\n")
        assert f"<p>{greeting}</p>" in mail.html
        assert "casino" not in mail.subject + mail.text + mail.html


@pytest.mark.parametrize("kind", Kind)
def test_a_fact_that_is_missing_is_an_error_not_a_gap(kind: Kind) -> None:
    with pytest.raises((MissingFact, UndefinedError, KeyError)):
        render(kind, "en", Facts(), BASE)


@pytest.mark.parametrize(
    ("locale", "cents", "currency", "written"),
    [
        ("en", 2999, "usd", "$29.99"),
        ("en", 5, "usd", "$0.05"),
        ("en", 123456789, "usd", "$1,234,567.89"),
        ("en", -2099, "usd", "$-20.99"),
        ("es", 123456789, "usd", "1.234.567,89 US$"),
        ("es", 100, "eur", "1,00 EUR"),
    ],
)
def test_money_is_written_from_cents(locale: str, cents: int, currency: str, written: str) -> None:
    assert money(locale, cents, currency) == written


def test_a_time_is_in_utc_and_says_so() -> None:
    at = sample(Kind.SESSION_COMPLETED).started_at
    assert at is not None
    assert instant("en", at) == "1 March 2026, 09:30 UTC"
    assert instant("es", at) == "1 de marzo de 2026, 09:30 UTC"


@pytest.mark.parametrize(
    ("reason", "absent", "said"),
    [
        ("too_short", None, "too short"),
        ("no_talk", None, "One of you never said a word"),
        ("withdrawn", None, "withdrawn"),
        ("expired", None, "expired"),
        ("no_show", "customer", "you did not join"),
        ("no_show", "mechanic", "the mechanic did not come"),
        ("no_show", "both", "nobody joined"),
    ],
)
@pytest.mark.parametrize(
    ("funding", "refund"),
    [("free", "nothing was charged"), ("card", "$29.99 is refunded in full"), ("credit", "credits (3) are back")],
)
def test_a_cancellation_says_why_and_what_becomes_of_the_money(
    reason: str, absent: str | None, said: str, funding: str, refund: str
) -> None:
    changes = {"reason": reason, "absent": absent, "funding": funding}
    facts = sample(Kind.SESSION_CANCELLED).model_copy(update=changes)
    mail = render(Kind.SESSION_CANCELLED, "en", facts, BASE)
    for part in (mail.text, mail.html, in_app(Kind.SESSION_CANCELLED, "en", facts)[1]):
        assert said in part
        assert refund in part


@pytest.mark.parametrize("funding", ["card", "credit"])
def test_what_a_person_may_still_decide_is_not_promised(funding: str) -> None:
    """Where a mechanic had accepted, evidence may come late."""
    facts = sample(Kind.SESSION_CANCELLED).model_copy(update={"funding": funding, "mechanic_id": new_id()})
    for accepted in (True, False):
        told = facts if accepted else facts.model_copy(update={"mechanic_id": None})
        assert ("Unless it needs a closer look" in render(Kind.SESSION_CANCELLED, "en", told, BASE).text) is accepted
        assert ("Unless it needs a closer look" in in_app(Kind.SESSION_CANCELLED, "en", told)[1]) is accepted


def test_a_request_without_waiver_asks_for_it() -> None:
    facts = sample(Kind.REQUEST_RECEIVED)
    assert "sign the waiver" not in render(Kind.REQUEST_RECEIVED, "en", facts, BASE).text
    unsigned = facts.model_copy(update={"needs_waiver": True, "scheduled_for": None})
    text = render(Kind.REQUEST_RECEIVED, "en", unsigned, BASE).text
    assert "sign the waiver" in text
    assert "You asked for" not in text


@pytest.mark.parametrize("kind", Kind)
def test_an_entry_needs_only_what_is_kept_and_the_mechanic_s_name(kind: Kind) -> None:
    kept = {**to_keep(kind, sample(kind)), "mechanic": "Mia"}
    for locale in locales():
        title, text = in_app(kind, locale, Facts.model_validate(kept))
        assert title
        assert text
        assert subject(kind, locale, sample(kind))
