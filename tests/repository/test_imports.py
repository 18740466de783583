"""The import budget: what each function loads at a cold start, measured in a fresh interpreter.

A name that appears here for the first time costs every cold start of that function: pin it only for a reason.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
# No function has pyOpenSSL; here the media server of calls does, and urllib3 would take it.
PROBE = (
    "import sys; sys.modules['OpenSSL'] = None; import json, app;"
    "json.dump(sorted(set(sys.modules) - {'OpenSSL'}), sys.stdout)"
)

COMMON = {
    *("annotated_types", "aws_lambda_powertools", "jmespath", "psycopg", "psycopg_binary", "pydantic", "pydantic_core"),
    *("typing_extensions", "typing_inspection"),
    *("asyncio", "email.message", "ssl"),  # psycopg imports the first two, powertools the third
}
BUDGET = {
    **dict.fromkeys(("intake", "waiver", "queue_fetch", "accept", "presence", "end_session", "active_session"), COMMON),
    **dict.fromkeys(("admin", "availability", "realtime", "plans", "credits", "earnings", "quotes", "settle"), COMMON),
    "documents": COMMON,
    **dict.fromkeys(("stripe_webhook", "checkout", "connect", "payouts", "reconcile"), COMMON),
    **dict.fromkeys(("expire_orphans", "relay", "socket", "broadcast", "monitor", "verify", "dead_letters"), COMMON),
    **dict.fromkeys(("room", "room_socket", "deliver"), COMMON),
    "health": COMMON,
    "analytics": COMMON,
    "notify": COMMON | {"jinja2", "markupsafe"},
    "notifications": COMMON,
    **dict.fromkeys(("push", "subscriptions"), COMMON | {"cryptography"}),
    "mail_feedback": COMMON,
    "attachments": COMMON,
    "scans": COMMON,
    "call": COMMON,
    "media": COMMON,
    "retired": COMMON,
    "docs": COMMON | {"jinja2", "markupsafe"},
    "console": COMMON,
    "migrate": COMMON - {"annotated_types", "pydantic", "pydantic_core", "typing_inspection"},
    "post_confirmation": {
        *(
            "boto3",
            "botocore.client",
            "botocore.session",
            "certifi",
            "dateutil",
            "jmespath",
            "s3transfer",
            "six",
            "urllib3",
        ),
        *("email.message", "http.client", "multiprocessing", "ssl", "urllib.request", "xml"),
    },
}
# Of the standard library and of what came with AWS's image, only what costs more than a few milliseconds.
HEAVY = {
    *(
        "asyncio",
        "email.message",
        "http.client",
        "multiprocessing",
        "sqlite3",
        "ssl",
        "unittest",
        "urllib.request",
        "xml",
    ),
    *("botocore.client", "botocore.session", "pydantic.v1", "aws_lambda_powertools.event_handler"),
    *("aws_lambda_powertools.utilities.parser", "aws_lambda_powertools.utilities.idempotency"),
}
LIGHT = {"app", "autodoctor", "botocore", "cython_runtime"}


DEPLOYED = {
    "ALERT_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:alerts",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "SESSION_BASE_URL": "https://sessions.example",
    "DEAD_LETTER_QUEUES": "{}",
    "EVENT_BUS_NAME": "bus",
    "FEED_QUEUE_URL": "https://sqs.eu-west-1.example/feed.fifo",
    "WEBSOCKET_ENDPOINT": "https://sockets.example/live",
    "WEBSOCKET_URL": "wss://sockets.example/live",
    "MAIL_CONFIGURATION_SET": "mail",
    "MAIL_FROM": "AutoDoctor <service@example.com>",
    "PUSH_HOSTS": "fcm.googleapis.com",
    "VAPID_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:vapid",
    "CONSOLE_CLIENT_ID": "client",
    "CONSOLE_CONNECTS_TO": "wss://sockets.example/live https://issuer.example",
    "CONSOLE_PICTURES_FROM": "https://files.example",
    "FILES_BUCKET": "files",
    "CONSOLE_MEDIUM": "chime",
    "CONSOLE_MEDIUM_CLIENT": "/opt/chime/sdk.js.gz",
    "MEDIA_REGION": "eu-central-1",
    "MEETINGS_QUEUE_ARN": "arn:aws:sqs:eu-west-1:123456789012:meetings",
    "CONSOLE_ISSUER": "https://issuer.example",
    "DATABASE_HOST": "proxy.example",
    "DATABASE_NAME": "autodoctor",
    "STRIPE_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stripe-AbC123",
    "DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbC123",
}


@cache
def loaded(function: str) -> frozenset[str]:
    """Every module that `import app` leaves in a fresh interpreter."""
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(
        command,
        cwd=FUNCTIONS / function,
        env=DEPLOYED,
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return frozenset(json.loads(done.stdout))


def counted(modules: frozenset[str]) -> set[str]:
    """Every package that is neither ours nor Python's, and the heavy ones of these."""
    packages = {name.partition(".")[0] for name in modules}
    foreign = {name for name in packages if name not in sys.stdlib_module_names and not name.startswith("_")}
    return (foreign - LIGHT) | (modules & HEAVY)


def test_every_function_has_a_budget() -> None:
    assert {folder.name for folder in FUNCTIONS.iterdir() if (folder / "app.py").exists()} == set(BUDGET)


@pytest.mark.parametrize("function", BUDGET)
def test_a_function_loads_what_it_uses(function: str) -> None:
    assert counted(loaded(function)) == BUDGET[function]


@pytest.mark.parametrize("function", BUDGET)
def test_the_operators_commands_cost_no_function_anything(function: str) -> None:
    ours = {name for name in loaded(function) if name.startswith("autodoctor.operations")}
    assert not ours | (loaded(function) & {"typer", "click", "rich"})


@pytest.mark.parametrize("function", ["queue_fetch", "accept"])
def test_the_busiest_paths_send_nothing(function: str) -> None:
    assert not loaded(function) & {"boto3", "botocore.auth", "stripe", "urllib.request"}
