"""RFC 8292 (VAPID): who sends, said to a push service by a signature, so that it takes messages from nobody else.

The key pair follows from a secret that CloudFormation makes (a stack can generate a password, not a key), so nobody has
to make one; the local cloud keeps one of its own. Another secret is another sender: every browser then has to ask
anew, which the console does by itself.
"""

import base64
import hashlib
import json
import os
import time
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from autodoctor.aws.secrets import secret_json
from autodoctor.push.encryption import CURVE, point
from autodoctor.settings import required

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many private keys P-256 has, and one more (SEC 2, section 2.4.2)."""
_GOOD_SECONDS: Final = 12 * 3600
"""Push services take up to 24 hours."""
_PART: Final = 32
_HEADER: Final = {"typ": "JWT", "alg": "ES256"}


class Vapid:
    """The key pair of a deployment.

    Args:
        seed: the secret that it follows from.
        contact: a URL (`mailto:` or `https:`) at which the push service finds the sender.
    """

    def __init__(self, seed: str, contact: str) -> None:
        number = int.from_bytes(hashlib.sha512(seed.encode()).digest())
        self._key = ec.derive_private_key(number % (ORDER - 1) + 1, CURVE)
        self._contact = contact
        self.public_key = text64(point(self._key.public_key()))

    def authorization(self, audience: str, now: float | None = None) -> str:
        """The header `Authorization` of a message to a push service.

        Args:
            audience: the origin of the push service, such as `https://push.example`.
            now: seconds since 1970; the present where absent.
        """
        expires = int(time.time() if now is None else now) + _GOOD_SECONDS
        claims = {"aud": audience, "exp": expires, "sub": self._contact}
        signed = ".".join(text64(json.dumps(part).encode()) for part in (_HEADER, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = text64(r.to_bytes(_PART) + s.to_bytes(_PART))
        return f"vapid t={signed}.{signature}, k={self.public_key}"


def check_vapid() -> None:
    """Check that `vapid()` knows where to look, without reading the secret.

    Raises:
        SettingMissing: neither VAPID_SECRETS nor VAPID_SECRET_ARN is set, or MAIL_FROM is not.
    """
    if not os.environ.get("VAPID_SECRETS"):
        required("VAPID_SECRET_ARN")
    required("MAIL_FROM")


def vapid() -> Vapid:
    """The present key pair: of `VAPID_SECRETS`, or of the secret that VAPID_SECRET_ARN names.

    Raises:
        SettingMissing: neither is configured.
        AwsError: the secret cannot be read.
    """
    text = os.environ.get("VAPID_SECRETS")
    secret = json.loads(text) if text else secret_json(required("VAPID_SECRET_ARN"))
    return _vapid(secret["seed"], f"mailto:{required('MAIL_FROM')}")


@cache
def _vapid(seed: str, contact: str) -> Vapid:
    return Vapid(seed, contact)


def text64(data: bytes) -> str:
    """Base64 for URLs, without padding, as Web Push writes everything."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
