"""The commands' output: tables that a terminal folds, the progress of a long read, the reason of a failure."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from autodoctor.integrity.verify import Progress

FAILED: Final = 2
"""The exit status of a check that could not be made; 1 means that it found something."""
_WIDE: Final = 160


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Print the reason of a failure on standard error, and exit."""
    typer.echo(message, err=True)
    raise typer.Exit(status)


def report_console(width: int = _WIDE) -> "Console":
    """Return a printer of tables: as wide as the terminal, or `width` characters in a file or pipe."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=width)


@contextmanager
def progress_bar(first: str | None = None) -> Iterator["Progress"]:
    """Show the progress of a read on a terminal's standard error; nothing elsewhere.

    `first` is a step that reports no progress of its own: it ends when the next one begins.
    """
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    terminal, hidden = Console(stderr=True), not sys.stderr.isatty()
    with progress.Progress(*columns, console=terminal, transient=True, disable=hidden) as bar:
        tasks = {} if first is None else {first: bar.add_task(first, total=1)}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                if first is not None:
                    bar.update(tasks[first], completed=1)
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=max(total or 0, done))

        yield show
