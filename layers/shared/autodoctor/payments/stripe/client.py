"""Makes the clients for Stripe, and nobody else does: which keys, which address, how long to wait.

Importing Stripe's library takes about a second of a cold start on a slow core, so it is imported by the call that needs
it, and never by a function that only receives webhooks.
"""

import json
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from autodoctor.aws.secrets import secret_json
from autodoctor.settings import required

if TYPE_CHECKING:
    from stripe import StripeClient

CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 3.0
LIST_ANSWER_SECONDS: Final = 30.0
"""For a page of a hundred objects with others expanded in them; only schedules wait so long."""
RETRIES: Final = 2
"""How often Stripe's library repeats a call, under the same idempotency key; by default it does not at all."""


@dataclass(frozen=True, slots=True)
class StripeSecrets:
    """The secrets of a deployment's Stripe account.

    Attributes:
        api_key: a secret or restricted key.
        webhook_secrets: of the platform's endpoint; two while one replaces the other.
        connect_webhook_secrets: of the endpoint for connected accounts.
    """

    api_key: str
    webhook_secrets: tuple[str, ...]
    connect_webhook_secrets: tuple[str, ...]

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return "_live_" in self.api_key


def check_stripe() -> None:
    """Check that `stripe_secrets()` knows where to look, without reading the secret.

    Raises:
        SettingMissing: neither STRIPE_SECRETS nor STRIPE_SECRET_ARN is set.
    """
    if not os.environ.get("STRIPE_SECRETS"):
        required("STRIPE_SECRET_ARN")


def stripe_secrets() -> StripeSecrets:
    """The present keys: `STRIPE_SECRETS`, or the secret that STRIPE_SECRET_ARN names.

    Read at every use, so that a rotation takes effect; the Parameters and Secrets extension caches.

    Raises:
        SettingMissing: neither is configured.
        AwsError: the secret cannot be read.
        KeyError: the secret lacks a member.
    """
    text = os.environ.get("STRIPE_SECRETS")
    secret: dict[str, Any] = json.loads(text) if text else secret_json(required("STRIPE_SECRET_ARN"))
    return StripeSecrets(
        secret["apiKey"], tuple(secret["webhookSecrets"]), tuple(secret.get("connectWebhookSecrets", ()))
    )


def stripe_client(answer_seconds: float = ANSWER_SECONDS) -> "StripeClient":
    """The client of the present key, which answers or raises within about 15 seconds.

    Args:
        answer_seconds: how long each of its attempts waits; more of them make the 15 seconds longer.

    Raises:
        SettingMissing: no key is configured.
        AwsError: the secret cannot be read.
    """
    return _client(stripe_secrets().api_key, os.environ.get("STRIPE_API_BASE"), answer_seconds)


@cache
def _client(api_key: str, api_base: str | None, answer_seconds: float) -> "StripeClient":
    import stripe  # noqa: PLC0415 (see above)

    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base, "files": api_base} if api_base else {},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, answer_seconds)),
    )
