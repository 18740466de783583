"""The keys and switches that a function's processes get on this machine, besides the template's variables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from localcloud.compute.environment import Launch
from localcloud.services.push_service import SECRET as VAPID_SECRET
from localcloud.services.push_service import PushService
from localcloud.stack.template import FunctionSpec

MEDIUM: Final = "CONSOLE_MEDIUM"
_CLIENT: Final = "CONSOLE_MEDIUM_CLIENT"
STRIPE_SECRET: Final = "STRIPE_SECRET_ARN"  # noqa: S105 - the name of a variable


def with_keys(
    spec: FunctionSpec, launch: Launch, stripe: Mapping[str, str], push: PushService, chime_client: Path | None
) -> Launch:
    """Add Stripe's keys, or those of Web Push, where the template lets the function read their secret.

    The console calls by its own client, or by Chime's where there is one.
    """
    if STRIPE_SECRET in spec.environment:
        launch = launch.with_services(stripe)
    if VAPID_SECRET in spec.environment:
        launch = launch.with_services(push.environment(spec.environment))
    if MEDIUM in spec.environment:
        medium = {MEDIUM: "local"} if chime_client is None else {MEDIUM: "chime", _CLIENT: str(chime_client)}
        launch = launch.with_services(medium)
    return launch
