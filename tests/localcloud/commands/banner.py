"""The text that `autodoctor dev` prints when it is ready, and the files its curl lines use."""

import json
import os
import shlex
import textwrap
from pathlib import Path
from typing import Final

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.host.datadir import DEFAULT, RunningServer, option
from localcloud.stripe.http.service import PREFIX as STRIPE_PREFIX

COLUMNS: Final = 80
BEGIN: Final = "H="
"""What the first of the commands begins with."""


def sample_files(server: RunningServer) -> dict[str, str]:
    """Return the files to write into the data folder: name to text."""
    tokens = {f"tokens/{key}": token for key, token in server.tokens.items()}
    headers = {f"headers/{key}": f"Authorization: Bearer {token}\n" for key, token in server.tokens.items()}
    return {**tokens, **headers, "intake.json": json.dumps(INTAKE_WITH_WAIVER, indent=2) + "\n"}


def ready_line(server: RunningServer) -> str:
    """Return the one line of `--json`."""
    return json.dumps(
        {
            "apiUrl": server.api_url,
            "realtimeUrl": server.realtime_url,
            "stripeUrl": f"{server.api_url}{STRIPE_PREFIX}",
            "databaseUrl": server.owner_url,
            "tokens": server.tokens,
        },
    )


def banner(server: RunningServer, folder: Path) -> str:
    """Return URLs, tokens, and from `BEGIN` on one consultation as commands to copy one by one, 80 columns wide.

    Only what cannot be broken, such as a URL or a long folder, may be wider.
    """
    shown, option_ = shlex.quote(_short(folder)), _option(folder)
    tokens = f"{shown}/tokens/NAME, good for 12 h: {' '.join(server.tokens)}"
    talk = (
        "One consultation: paste it line by line. Joins alone are no talk, and pay nobody; before the end, "
        f"talk for a minute: autodoctor room $S --as customer1{option_}, in another terminal --as mechanic1."
    )
    return "\n".join(
        [
            f"AutoDoctor is ready: open {server.api_url}/_dev in a browser.",
            f"Its data is in {shown}. Ctrl-C stops it.",
            f"  feed       {server.realtime_url}",
            f"             to watch: autodoctor feed --as mechanic1{option_}",
            f"  database   {server.owner_url}",
            *_wrapped(f"  tokens     {tokens}", " " * 13),
            *_wrapped(talk),
            f"  {BEGIN}{shown}/headers; U={server.api_url}/api",
            """  post() { P=$1 K=$2; shift 2; curl -sw '\\n' -H "@$H/$K" "$U/$P" -X POST "$@"; }""",
            f"  R=$(post intake/start customer1 -d @{shown}/intake.json); echo $R",
            r"""  pick() { expr "$R" : ".*\"$1\": *\"\([^\"]*\)"; }""",
            "  S=$(pick sessionId); A=$(pick assignmentId)",
            "  post mechanic/assignments/$A/accept mechanic1",
            "  post sessions/$S/join customer1",
            "  post sessions/$S/join mechanic1",
            "  post sessions/$S/end mechanic1",
            r"""  curl -sw '\n' -H "@$H/customer1" $U/sessions/$S""",
        ]
    )


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _short(folder: Path) -> str:
    """Return the folder relative to the working directory when it is below it, else in full."""
    return os.path.relpath(folder) if folder.resolve().is_relative_to(Path.cwd()) else str(folder.resolve())


def _option(folder: Path) -> str:
    """Return the option that names the folder; nothing for the default, which commands find by themselves."""
    return "" if folder.resolve() == DEFAULT.resolve() else option(Path(_short(folder)))
