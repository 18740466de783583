"""API Gateway's JWT authorizer: checks a bearer token and hands its claims to the function.

It checks exactly what AWS checks: it cannot tell an ID token from an access token, nor revoke one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import jwt
from jwt.types import Options

from localcloud.stack.http_api import JwtAuthorizer

_ALGORITHM = "RS256"
_BEARER = "bearer "
# The audience has a rule of its own; AWS does not check the other two.
_CHECKS: Options = {
    "require": ["exp", "iss"],
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
}


class Refused(Exception):
    """The token is missing or invalid: 401. `description` is the challenge's text."""

    def __init__(self, description: str = "") -> None:
        super().__init__(description or "no token")
        self.description = description

    @property
    def challenge(self) -> str:
        """The value of the WWW-Authenticate header."""
        if not self.description:
            return "Bearer"
        return f'Bearer scope="" error="invalid_token" error_description="{self.description}"'


class Insufficient(Exception):
    """The token has none of the scopes that the route requires: 403."""


@dataclass(frozen=True)
class Authorization:
    """Claims as strings, and the token's scopes among the route's (None if the route requires none)."""

    claims: Mapping[str, str]
    scopes: list[str] | None

    def as_context(self) -> dict[str, object]:
        """The `authorizer` part of a request context."""
        return {"jwt": {"claims": dict(self.claims), "scopes": self.scopes}}


class Authorizer:
    """Checks tokens of one issuer against its published keys."""

    def __init__(self, settings: JwtAuthorizer, keys: Mapping[str, object]) -> None:
        self._settings = settings
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys}

    @property
    def header(self) -> str:
        """The header that carries the token, in lower case."""
        return self._settings.header

    def authorize(self, header: str | None, scopes: tuple[str, ...]) -> Authorization:
        """Check a token given with or without `Bearer `. Raises Refused or Insufficient."""
        if not header:
            raise Refused
        token = header[len(_BEARER) :] if header.lower().startswith(_BEARER) else header
        claims = self._verified(token.strip())
        self._check_audience(claims)
        granted = str(claims.get("scope", claims.get("scp", ""))).split()
        if scopes and not set(scopes) & set(granted):
            raise Insufficient
        return Authorization(
            {name: flat(value) for name, value in claims.items()},
            [scope for scope in scopes if scope in granted] if scopes else None,
        )

    def _verified(self, token: str) -> dict[str, object]:
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Refused("signing key not found")
            claims: dict[str, object] = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=self._settings.issuer,
                options=_CHECKS,
            )
        except jwt.ExpiredSignatureError as error:
            raise Refused("the token has expired") from error
        except jwt.ImmatureSignatureError as error:
            raise Refused("the token is not valid yet") from error
        except jwt.InvalidIssuerError as error:
            raise Refused("the token has an invalid issuer") from error
        except (jwt.PyJWTError, UnicodeError) as error:  # the header may hold any bytes
            raise Refused("the token is invalid") from error
        return claims

    def _check_audience(self, claims: Mapping[str, object]) -> None:
        """Cognito's access tokens carry `client_id` instead of `aud`; it is used when `aud` is absent."""
        audience = claims["aud"] if "aud" in claims else claims.get("client_id")
        given = audience if isinstance(audience, list) else [audience]
        if not set(map(str, given)) & set(self._settings.audience):
            raise Refused("the token does not have a valid audience")


def flat(value: object) -> str:
    """Write a claim as API Gateway does: everything is a string, a list is `[a b]`, a mapping `map[k:v]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(flat, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{flat(item)}' for key, item in sorted(value.items()))}]"
    return json.dumps(value)
