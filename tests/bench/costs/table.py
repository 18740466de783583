"""README.md's table of costs, from what was counted and prices.toml."""

import tomllib
from pathlib import Path
from typing import Final

from bench.costs.consultation import CALM_LOOKS, MINUTES, Consultation
from support.template.alarms import watches
from support.template.deployed_template import expanded_template

README: Final = Path(__file__).parents[3] / "README.md"
MILLION: Final = 1_000_000
PARTIES: Final = 2
_PRICES: Final = Path(__file__).with_name("prices.toml")
_BEGIN: Final = "<!-- costs: written by `uv run python -m bench.costs` -->\n"
_END: Final = "<!-- end of costs -->\n"

_MONTH_HOURS: Final = 730
_PROXY_ACU: Final = 8
"""At least so much of RDS Proxy is billed, whatever the database has."""
_ACU_PER_PROCESSOR: Final = 4
_LOAD: Final = 0.5
"""How busy a processor of Aurora is, on average, before it grows."""
_QUEUE_REQUESTS: Final = 3
"""A message is sent, received and deleted."""
_FILES_KNOWN: Final = 9
"""Answers of the console's function where both parties have its files (DECISIONS.md#d125)."""
_MEMORY_GB: Final = 1
_TRACED: Final = 0.05
_ROW_BYTES: Final = 210
"""With indexes (DECISIONS.md#d90)."""
_ACCESS_LINE_BYTES: Final = 300
_NAT_BYTES: Final = 100_000
_FILES_BYTES: Final = 97_000
_GB: Final = 1e9
_WAITING_MINUTES: Final = 5
_LATER_MAILS: Final = 1
"""The summary, which goes out after the notes."""


type Prices = dict[str, dict[str, float]]
type Costs = list[tuple[str, float]]


def prices() -> Prices:
    """Return the prices in dollars, by what they are for."""
    return tomllib.loads(_PRICES.read_text(encoding="utf-8"))


def table(counted: Consultation, alarmed: int, dollars: Prices) -> str:
    """Return the table, in Markdown."""
    users = [
        ("an active user after the first 10,000, on LITE", dollars["months"]["user_lite"]),
        ("the same on ESSENTIALS", dollars["months"]["user_essentials"]),
    ]
    lines = [
        "| what stands, used or not | a month |\n|---|---|",
        *(f"| {what} | {_money(cost)} |" for what, cost in _standing(alarmed, dollars)),
        f"\n| a consultation of {MINUTES} minutes by chat, a message each | a million of them |\n|---|---|",
        *(f"| {what} | {_money(cost * MILLION)} |" for what, cost in _of_one(counted, dollars)),
        "\n| Cognito | a month |\n|---|---|",
        *(f"| {what} | ${cost:.4f} |" for what, cost in users),
    ]
    return "\n" + "\n".join(lines) + "\n\n"


def _standing(alarmed: int, dollars: Prices) -> Costs:
    time, months = dollars["time"], dollars["months"]
    return [
        ("Aurora, 0.5 ACU at rest", _MONTH_HOURS * 0.5 * time["aurora_acu_hour"]),
        ("RDS Proxy", _MONTH_HOURS * _PROXY_ACU * time["proxy_acu_hour"]),
        ("a NAT gateway and its address", _MONTH_HOURS * time["nat_hour"]),
        (f"alarms on {alarmed} metrics", alarmed * months["alarm"]),
        (
            f"the dashboard, beside ${months['metric']:.2f} for each metric of ours",
            months["dashboard"],
        ),
    ]


def _of_one(counted: Consultation, dollars: Prices) -> Costs:
    each, time, size = dollars["requests"], dollars["time"], dollars["bytes"]
    invocations = counted.invoked + counted.signs + PARTIES * CALM_LOOKS
    calls = counted.calls + PARTIES * CALM_LOOKS
    seconds = counted.milliseconds / 1000 * invocations / counted.invoked
    actions = sum(counted.invocations.get(name, 0) for name in ("RoomSocketFunction", "SocketFunction"))
    sent = counted.pushes + actions + 2 * counted.signs
    open_minutes = PARTIES * (MINUTES + _WAITING_MINUTES)
    logged = counted.logged_bytes * invocations / counted.invoked + calls * _ACCESS_LINE_BYTES
    aurora_hours = counted.database_milliseconds / 1000 / 3600 / _LOAD * _ACU_PER_PROCESSOR
    mails = counted.mails + _LATER_MAILS
    file = each["api"] + each["function"]
    return [
        (
            f"functions: {invocations} invocations, {seconds:.1f} s of 1 GB",
            invocations * each["function"] + seconds * _MEMORY_GB * time["function_gb_second"],
        ),
        (f"API: {calls} calls", calls * each["api"]),
        (
            f"bus and queues: {counted.events} events, {counted.queue_messages} messages",
            counted.events * each["event"] + counted.queue_messages * _QUEUE_REQUESTS * each["queue"],
        ),
        (
            f"feed: {sent} messages, {open_minutes} minutes",
            sent * each["socket"] + open_minutes * time["socket_minute"],
        ),
        (
            f"Aurora under load: {counted.database_milliseconds} ms of a processor",
            aurora_hours * time["aurora_acu_hour"],
        ),
        (
            f"storage: {counted.rows} rows, each month that they are kept",
            counted.rows * _ROW_BYTES / _GB * size["storage"],
        ),
        (
            f"logs: {logged / 1000:.0f} KB; traces of {_TRACED:.0%}",
            logged / _GB * size["log"] + invocations * _TRACED * dollars["other"]["trace"],
        ),
        ("NAT: 100 KB", _NAT_BYTES / _GB * size["nat"]),
        (
            f"the console's files, {counted.files} where both are new",
            counted.files * file + PARTIES * _FILES_BYTES / _GB * size["out"],
        ),
        (f"the same, {_FILES_KNOWN} where both were here before", _FILES_KNOWN * file),
        (f"mails: {mails}", mails * each["mail"]),
        (f"a call by video of {MINUTES} minutes", PARTIES * MINUTES * time["call_minute"]),
    ]


def alarmed_metrics() -> int:
    """Count the metrics that the stack's alarms watch: each is paid for."""
    resources = expanded_template()["Resources"].items()
    kind = "AWS::CloudWatch::Alarm"
    return len(list(watches({name: each["Properties"] for name, each in resources if each["Type"] == kind})))


def with_table(text: str) -> str:
    """Return the README with the table as it should be."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + table(Consultation.stated(), alarmed_metrics(), prices()) + _END + after


def _money(dollars: float) -> str:
    return f"${dollars:,.0f}" if dollars >= 1 else f"${dollars:.2f}"
