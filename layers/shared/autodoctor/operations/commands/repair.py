"""`autodoctor repair`: make the repairs that have one right answer, and list the rest for a person."""

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Final

import typer

from autodoctor.operations.commands.verify import print_report
from autodoctor.operations.console import Refusal, one_line
from autodoctor.operations.local_server import DataFolder, owner_url
from autodoctor.operations.output import fail, progress_bar

if TYPE_CHECKING:
    from autodoctor.integrity.repair.run import NotPossible, Repaired

_LONGEST_REASON: Final = 500


def repair(  # noqa: PLR0913 - each is an option of the command
    context: typer.Context,
    *,
    accept: Annotated[
        tuple[str, str] | None,
        typer.Option(help="CHECK and SUBJECT of a finding that a person has decided about; verify then leaves it out."),
    ] = None,
    reason: Annotated[str, typer.Option(help="With --accept: the decision, without personal data.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Make the changes; without this nothing is changed.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(help="The database, as the owner role; by default that of the running server."),
    ] = None,
    data_dir: DataFolder = None,
) -> None:
    """Make the repairs that have one right answer, then verify; exit with 1 when findings are left.

    Repairs stuck assignments of finished sessions, missing audit rows, outcomes that the evidence contradicts, and
    ended sessions that were never queued for settlement. If rows contradict each other, it changes nothing: a person
    has to decide. Every change is recorded in the table repairs, with the previous value and the reason.
    """
    import psycopg

    from autodoctor.integrity.repair import run as repairing
    from autodoctor.integrity.report import VerifyReport
    from autodoctor.integrity.verify import reader, verify

    try:
        if accept is not None:
            _accept(owner_url(context, database_url, data_dir), *accept, reason)
            return
        with ExitStack() as stack:
            url = owner_url(context, database_url, data_dir)
            reading = stack.enter_context(reader(url, "autodoctor-repair"))
            writing = stack.enter_context(psycopg.connect(url, autocommit=True)) if apply else None
            operator = repairing.Operator.here()
            for step in repairing.repair(reading, writing, operator):
                typer.echo(_line(step, applied=apply))
            progress = stack.enter_context(progress_bar("schema"))
            report = VerifyReport.of(verify(reading, progress=progress))
    except Refusal as refused:
        fail(str(refused))
    except psycopg.Error as error:
        fail(f"nothing more was repaired: {one_line(error)}")
    typer.echo(f"run {operator.run_id}" if apply else "nothing was changed; --apply does it")
    print_report(report)
    raise typer.Exit(1 if report.findings else 0)


def _accept(url: str, slug: str, subject: str, reason: str) -> None:
    import psycopg

    from autodoctor.integrity.repair import run as repairing
    from autodoctor.integrity.verify import ALL_CHECKS

    check = next((each for each in ALL_CHECKS if each.slug == slug), None)
    if check is None:
        raise typer.BadParameter(f"there is no check {slug}")
    if not 0 < len(reason) <= _LONGEST_REASON:
        raise typer.BadParameter(f"--reason says what was decided, in 1 to {_LONGEST_REASON} characters")
    with psycopg.connect(url, autocommit=True) as writing:
        repairing.accept(writing, repairing.Operator.here(), check, subject, reason)
    typer.echo(f"accepted: {slug} of {subject}")


def _line(step: "Repaired | NotPossible", *, applied: bool) -> str:
    from autodoctor.integrity.repair.run import NotPossible

    if isinstance(step, NotPossible):
        return f"{step.session_id}  left: {step.why}"
    change = step.change
    was, becomes = (json.dumps(each, sort_keys=True) for each in (change.previous, change.now))
    verb = "put right" if applied else "would put right"
    return f"{step.session_id}  {verb}: {change.check.slug} of {change.subject}: {was} -> {becomes} ({change.reason})"
