"""The text that `autodoctor dev` prints when it is ready, and the files its curl lines use."""

import json
import os
import shlex
from pathlib import Path

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.host.datadir import DEFAULT, RunningServer, option
from localcloud.stripe.http.service import PREFIX as STRIPE_PREFIX


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
    """Return at most 12 lines: URLs, tokens, and one consultation as commands to copy one by one."""
    shown = shlex.quote(_short(folder))
    curl = r"curl -sw '\n'"
    api, names = server.api_url, " ".join(server.tokens)
    ids = r"""pick() { expr "$R" : ".*\"$1\": *\"\([^\"]*\)"; }; S=$(pick sessionId); A=$(pick assignmentId)"""

    def post(key: str, path: str) -> str:
        return f"{curl} -X POST -H @{shown}/headers/{key} {api}{path}"

    talk = (
        "Joins alone are no talk, and pay nobody; before the end, talk for a minute: "
        f"autodoctor room $S --as customer1{_option(folder)}, in another terminal --as mechanic1."
    )
    return "\n".join(
        [
            f"AutoDoctor is ready: open {api}/_dev in a browser. Its data is in {shown}. Ctrl-C stops it.",
            f"  feed       {server.realtime_url}; to watch: autodoctor feed --as mechanic1{_option(folder)}",
            f"  database   {server.owner_url}",
            f"  tokens     {shown}/tokens/NAME: {names} (good for 12 h)",
            f"One consultation: paste it line by line. {talk}",
            f"  R=$({post('customer1', '/api/intake/start')} -d @{shown}/intake.json); echo $R",
            f"  {ids}",
            f"  {post('mechanic1', '/api/mechanic/assignments/$A/accept')}",
            f"  {post('customer1', '/api/sessions/$S/join')}",
            f"  {post('mechanic1', '/api/sessions/$S/join')}",
            f"  {post('mechanic1', '/api/sessions/$S/end')}",
            f"  {curl} -H @{shown}/headers/customer1 {api}/api/sessions/$S",
        ]
    )


def _short(folder: Path) -> str:
    """Return the folder relative to the working directory when it is below it, else in full."""
    return os.path.relpath(folder) if folder.resolve().is_relative_to(Path.cwd()) else str(folder.resolve())


def _option(folder: Path) -> str:
    """Return the option that names the folder; nothing for the default, which commands find by themselves."""
    return "" if folder.resolve() == DEFAULT.resolve() else option(Path(_short(folder)))
