"""A mail as subject, text and HTML, from the templates of a language. The only module that needs Jinja2."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from autodoctor.notifications.kinds import Facts, Kind
from autodoctor.notifications.words import FALLBACK, LOCALES, catalogue, hello, locales, phrases, subject

PREFERENCES_PATH: Final = "/settings/notifications"


@dataclass(frozen=True, slots=True)
class Mail:
    """What SES is given to send.

    Attributes:
        subject: one line.
        text: the plain part.
        html: the same as a document.
    """

    subject: str
    text: str
    html: str


class MissingFact(Exception):
    """A template says something that is not known of this event."""


def render(kind: Kind, locale: str, facts: Facts, base_url: str) -> Mail:
    """Write a mail.

    Args:
        kind: which.
        locale: language; one we do not have falls back to English, as does a template that it lacks.
        facts: what it is about; words of users are escaped in HTML.
        base_url: of the pages the mail links to, without a slash at the end.

    Raises:
        MissingFact, jinja2.UndefinedError, KeyError: a fact that the mail mentions is missing.
    """
    locale = locale if locale in locales() else FALLBACK
    written = subject(kind, locale, facts)
    values = {
        "facts": facts,
        "say": phrases(locale, facts),
        "words": catalogue(locale),
        "hello": hello(locale, facts),
        "locale": locale,
        "subject": written,
        "preferences_url": base_url + PREFERENCES_PATH,
    }
    text, html = (
        _environment().select_template([f"{each}/{part}/{kind}.{suffix}" for each in (locale, FALLBACK)]).render(values)
        for part, suffix in (("text", "txt"), ("html", "html"))
    )
    return Mail(written, text, html)


def _no_none(value: object) -> object:
    if value is None:
        raise MissingFact
    return value


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(LOCALES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        finalize=_no_none,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
