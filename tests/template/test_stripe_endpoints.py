"""The events that README's deployment subscribes to, the stand-in sends, and payments/webhooks handles."""

import ast
import re
from pathlib import Path

import pytest
import stripe

from autodoctor.payments import webhooks
from localcloud.stripe.state.webhooks import EVENTS, Name
from support.template.deployed_template import ROOT

PATHS: dict[Name, str] = {"platform": "/api/stripe/webhook", "connect": "/api/stripe/connect-webhook"}
HANDLERS: dict[Name, set[str]] = {"platform": {"_act_on", "_about_money_back"}, "connect": {"_of_account"}}
SAID_TWICE = {"charge.refund.updated"}
"""What Stripe sent before there was `refund.updated`, which is subscribed to."""


def step() -> str:
    """The step of README's deployment about endpoints."""
    (found,) = re.findall(
        r"^\d+\. \*\*Endpoints\.\*\* (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return str(found)


def subscribed(endpoint: Name) -> set[str]:
    """The types in README's brackets behind the endpoint's address."""
    listed = re.search(re.escape(f"`<ApiUrl>{PATHS[endpoint]}`") + r" \(([^)]*)\)", step())
    assert listed is not None
    return set(re.findall(r"`([^`]+)`", listed.group(1)))


def handled(endpoint: Name) -> set[str]:
    """The types that the endpoint's handlers compare an event's type with; one that begins it, with a star."""
    tree = ast.parse(Path(webhooks.__file__).read_text(encoding="utf-8"))
    bodies = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name in HANDLERS[endpoint]]
    assert {each.name for each in bodies} == HANDLERS[endpoint]
    code = "\n".join(ast.unparse(each) for each in bodies)
    begun = {f"{each}*" for each in re.findall(r"event\.type\.startswith\('([^']+)'\)", code)}
    named = set(webhooks.REFUND_EVENTS) if "event.type in REFUND_EVENTS" in code else set()
    return begun | set(re.findall(r"event\.type == '([^']+)'", code)) | named - SAID_TWICE


@pytest.mark.parametrize("endpoint", PATHS)
def test_a_deployment_hears_what_is_handled_and_the_stand_in_tells_no_more(endpoint: Name) -> None:
    assert subscribed(endpoint) == handled(endpoint)
    assert set(EVENTS[endpoint]) == handled(endpoint)


def test_the_endpoints_have_the_version_of_stripe_s_library() -> None:
    assert f"API version `{stripe.api_version}`" in step()
