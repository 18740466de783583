"""Stripe's signature of a webhook, checked on the raw bytes without Stripe's library, whose import costs a second.

The scheme is in Stripe's documentation ("Verify webhook signatures manually"); tests compare it with the library.
"""

import hashlib
import hmac
import time
from collections.abc import Iterable
from typing import Final

from autodoctor.errors import BadSignature

TOLERANCE_SECONDS: Final = 300
_SCHEME: Final = "v1"
_SHORTEST: Final = 16
"""Characters after the prefix; Stripe's have 32 or more."""
_BEGINNING: Final = "whsec_"
"""Every secret of Stripe's begins so. Anything else in its place, such as `none`, is a key that anybody may guess."""


def verify_signature(body: bytes, header: str, secrets: Iterable[str]) -> None:
    """Check that Stripe signed these bytes just now.

    Args:
        body: the raw bytes, not parsed and serialised again.
        header: `Stripe-Signature`.
        secrets: the endpoint's; while one replaces another there are two, and either will do. What does not look like a
            secret of Stripe's is none; without any, everything is refused.

    Raises:
        BadSignature: no secret fits, or the time is more than 5 minutes in the past, or in the future (which Stripe's
            own library accepts).
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value.encode() for name, _, value in parts if name == _SCHEME]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit():
        raise BadSignature
    signed = stamps[0].encode() + b"." + body
    keys = [secret.encode() for secret in secrets if _is_secret(secret)]
    right = [hmac.new(key, signed, hashlib.sha256).hexdigest().encode() for key in keys]
    if not any(hmac.compare_digest(mine, theirs) for mine in right for theirs in given):
        raise BadSignature
    if len(stamps[0]) > len(str(2**63)) or abs(time.time() - int(stamps[0])) > TOLERANCE_SECONDS:
        raise BadSignature


def _is_secret(secret: str) -> bool:
    return secret.startswith(_BEGINNING) and len(secret) >= len(_BEGINNING) + _SHORTEST
