"""`autodoctor mail`: every mail as its readers get it, with made-up facts, mainly for translators."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from autodoctor.notifications.kinds import Kind

mail_app = typer.Typer(no_args_is_help=True, help="Show every mail as its readers get it, with made-up facts.")

_BASE_URL: Final = "https://sessions.example.com"


@mail_app.command("list")
def list_mails() -> None:
    """List every kind of mail with its subject in each language."""
    from autodoctor.notifications.kinds import Kind
    from autodoctor.notifications.samples import sample
    from autodoctor.notifications.words import locales, subject

    for kind in Kind:
        for locale in sorted(locales()):
            typer.echo(f"{kind:<18} {locale}  {subject(kind, locale, sample(kind))}")


@mail_app.command()
def preview(
    kind: Annotated[str, typer.Argument(help="A kind from `autodoctor mail list`.")],
    *,
    locale: Annotated[str, typer.Option(help="The language.")] = "en",
    html: Annotated[bool, typer.Option("--html", help="Print only the HTML part, for a browser.")] = False,
) -> None:
    """Print one mail, and the matching message in the application."""
    from autodoctor.notifications.mail import render
    from autodoctor.notifications.samples import sample
    from autodoctor.notifications.words import in_app

    wanted = _known(kind, locale)
    facts = sample(wanted)
    mail = render(wanted, locale, facts, _BASE_URL)
    if html:
        typer.echo(mail.html)
        return
    title, text = in_app(wanted, locale, facts)
    typer.echo(f"Subject: {mail.subject}\n\n{mail.text}\n\nIn the application: {title}\n{text}")


def _known(kind: str, locale: str) -> "Kind":
    from autodoctor.notifications.kinds import Kind
    from autodoctor.notifications.words import locales

    if kind not in set(Kind):
        raise typer.BadParameter(f"there is no mail {kind}; there are {', '.join(Kind)}")
    if locale not in locales():
        raise typer.BadParameter(f"there is no language {locale}; there are {', '.join(sorted(locales()))}")
    return Kind(kind)
