"""Renders a mail's subject, text and HTML from a language's templates. The only module here that imports Jinja2."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from autodoctor.notifications.kinds import Facts, Kind
from autodoctor.notifications.words import FALLBACK, LOCALES, catalogue, hello, locales, phrases, subject
from autodoctor.printable import printable

PREFERENCES_PATH: Final = "/settings/notifications"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is handed to SES.

    Attributes:
        subject: one line.
        text: the plain part.
        html: the same content as an HTML document.
    """

    subject: str
    text: str
    html: str


class MissingFact(Exception):
    """A template uses a fact that this event does not have."""


def render(kind: Kind, locale: str, facts: Facts, base_url: str) -> Mail:
    """Render a mail.

    Args:
        kind: the kind of notification.
        locale: the language; an unknown language, or a missing template, falls back to English.
        facts: the values of the text; user input is escaped in HTML.
        base_url: the base of the links in the mail, without a slash at the end.

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
        _template(locale, part, f"{kind}.{suffix}").render(values)
        for part, suffix in (("text", "txt"), ("html", "html"))
    )
    return Mail(written, text, html)


def _printable(value: object) -> object:
    """What a template prints: nothing that is missing, and no characters that are not seen but act."""
    if value is None:
        raise MissingFact
    return printable(value) if type(value) is str else value


@cache
def _template(locale: str, part: str, name: str) -> Template:
    """A part of a mail, in English where the language has none. Its name finds it: the folders are for readers."""
    files = [file for each in (locale, FALLBACK) for file in LOCALES.glob(f"{each}/{part}/*/{name}")]
    return _environment().select_template([file.relative_to(LOCALES).as_posix() for file in files])


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(LOCALES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
