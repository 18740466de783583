"""A token issuer like a Cognito user pool: OIDC discovery, a key set, and tokens signed by its key.

The key is kept in the data folder, so that a token outlives a restart.
"""

import base64
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from autodoctor.operations.console import Refusal
from localcloud.commands.samples import INTAKE

PATH = "/_dev/issuer"
_KEY_FILE = "issuer-key.pem"
_KEY_BITS = 2048


class KeyUnusable(Refusal):
    """The stored key is damaged, or of another kind."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no RSA key; remove it to get a new one")


class Issuer:
    """Signs tokens that the local gateway accepts."""

    def __init__(self, data_dir: Path, base_url: str, client_id: str) -> None:
        """`base_url` is the API's, `client_id` the audience its authorizer asks for. Raises KeyUnusable."""
        self.url = base_url + PATH
        self._client_id = client_id
        self._key = _stored_key(data_dir / _KEY_FILE)
        numbers = self._key.public_key().public_numbers()
        self._modulus, self._exponent = _base64(numbers.n), _base64(numbers.e)
        self.key_id = hashlib.sha256(self._modulus.encode()).hexdigest()[:16]

    def token(self, sub: str, groups: Iterable[str], *, expires_in: float = 3600, **claim_overrides: object) -> str:
        """Sign an access token, valid for `expires_in` seconds. A claim overridden with None is left out."""
        claims = access_claims(sub, groups, issuer=self.url, client_id=self._client_id, seconds=expires_in)
        claims.update(claim_overrides)
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self._key, algorithm="RS256", headers={"kid": self.key_id})

    def refresh_token(self, sub: str, groups: Iterable[str], *, seconds: float) -> str:
        """Sign what renews a sign-in for `seconds`; no API takes it, as it names no audience."""
        return self.token(sub, groups, expires_in=seconds, token_use="refresh", client_id=None)

    def refreshed(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a refresh token of ours. Raises jwt.InvalidTokenError."""
        claims: dict[str, Any] = jwt.decode(token, self._key.public_key(), algorithms=["RS256"], issuer=self.url)
        if claims.get("token_use") != "refresh":
            raise jwt.InvalidTokenError("another kind of token")
        return claims

    def key_set(self) -> Mapping[str, object]:
        """The public keys as a JWK set."""
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.key_id}
        return {"keys": [{**key, "n": self._modulus, "e": self._exponent}]}

    def documents(self) -> Mapping[str, bytes]:
        """The issuer's documents for the gateway to serve, by path."""
        keys = f"{PATH}/.well-known/jwks.json"
        discovery = {
            "issuer": self.url,
            "jwks_uri": self.url.removesuffix(PATH) + keys,
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": ["none"],
            "subject_types_supported": ["public"],
        }
        return {
            keys: json.dumps(self.key_set()).encode(),
            f"{PATH}/.well-known/openid-configuration": json.dumps(discovery).encode(),
        }


def access_claims(sub: str, groups: Iterable[str], *, issuer: str, client_id: str, seconds: float) -> dict[str, object]:
    """Return the claims of an access token as Cognito writes them, valid for so many seconds from now."""
    now = int(time.time())
    return {
        "sub": sub,
        "iss": issuer,
        "client_id": client_id,
        "token_use": "access",
        "cognito:groups": list(groups),
        "username": sub,
        "email": INTAKE["email"],  # of every sample, so that it gets its mails; Cognito's own access tokens have none
        "email_verified": True,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": int(now + seconds),
    }


def _stored_key(path: Path) -> rsa.RSAPrivateKey:
    if not path.exists():
        _store_new_key(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        raise KeyUnusable(path) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyUnusable(path)
    return key


def _store_new_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    scratch.replace(path)


def _base64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).rstrip(b"=").decode()
