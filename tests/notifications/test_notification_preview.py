"""`autodoctor mail`: a translator sees every mail of a language."""

from itertools import product

import pytest
from typer.testing import CliRunner, Result

from autodoctor.notifications.kinds import Kind
from autodoctor.notifications.words import locales
from localcloud.cli import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["mail", *arguments])


@pytest.mark.parametrize(("kind", "locale"), list(product(Kind, sorted(locales()))))
def test_every_mail_can_be_previewed(kind: Kind, locale: str) -> None:
    text = run("preview", kind, "--locale", locale)
    html = run("preview", kind, "--locale", locale, "--html")
    assert (text.exit_code, html.exit_code) == (0, 0)
    subject = text.stdout.splitlines()[0].removeprefix("Subject: ")
    assert f'<h1 style="margin:0 0 16px;font-size:20px">{subject}</h1>' in html.stdout
    assert "In the application:" in text.stdout


def test_all_are_listed() -> None:
    listed = run("list").stdout.splitlines()
    assert len(listed) == len(Kind) * len(locales())
    assert "session_completed  es  Resumen de su sesión con Mia Moreno" in listed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("weather",), "there is no mail weather"), (("payout_sent", "--locale", "xx"), "there is no language xx")],
)
def test_what_does_not_exist_is_refused(arguments: tuple[str, ...], said: str) -> None:
    result = run("preview", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
