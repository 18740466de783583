"""The issuer's sign-in page and token endpoint: OpenID Connect's authorization code with PKCE, without passwords.

A sign-in is renewed by a refresh token, which is good once, and for a minute more, as with Cognito's rotation.

On AWS this is Cognito's page. Here it lets one choose a person of the local cloud.
"""

import base64
import hashlib
import secrets
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from aiohttp import web

from localcloud.identity.issuer import PATH, Issuer
from localcloud.identity.roster import ROSTER
from localcloud.identity.user_pool import UserPool

AUTHORIZE: Final = f"{PATH}/authorize"
TOKEN: Final = f"{PATH}/token"
REVOKE: Final = f"{PATH}/revoke"
_CODE_SECONDS: Final = 60
ACCESS_SECONDS: Final = 15 * 60
REFRESH_SECONDS: Final = 12 * 3600
GRACE_SECONDS: Final = 60
"""How long each is good, as template.yaml has it of Cognito."""
_MOST_CODES: Final = 1000
_NEWCOMER: Final = "newcomer"
_ROLES: Final = {"customers": "Customer", "mechanics": "Mechanic", "admins": "Admin"}
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_STYLE: Final = (
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{max-width:30rem;margin:2rem auto;padding:0 1rem}ul{list-style:none;padding:0}small{opacity:.75}"
    "a{display:flex;justify-content:space-between;gap:1rem;padding:.7rem 1rem;margin:.4rem 0;border:1px solid #8886;"
    "border-radius:.6rem;text-decoration:none;color:inherit}a:hover,a:focus-visible{outline:3px solid #3b82f6}"
)


type _Grant = tuple[str, tuple[str, ...], float]
"""Whose sign-in, their groups, and when it ends (seconds since the epoch)."""


@dataclass(frozen=True)
class _Code:
    sub: str
    groups: tuple[str, ...]
    redirect_uri: str
    challenge: str
    expires_at: float


class SignIn:
    """Serves both endpoints; a code works once, within a minute, with the verifier of its challenge."""

    def __init__(self, issuer: Issuer, pool: UserPool, origin: str) -> None:
        self._issuer = issuer
        self._pool = pool
        self._origin = origin
        self._codes: dict[str, _Code] = {}
        self._used: dict[str, float] = {}  # when a refresh token, by its id, stops being good

    async def authorize(self, request: web.BaseRequest) -> web.StreamResponse:
        """The page that lets one choose a person, and the redirect back with a code."""
        query = request.query
        added = self._pool.added()
        refused = self._why_not(query, added)
        if refused:
            return _page("This sign-in link is not usable", f"<p>{escape(refused)}</p>", 400)
        if "person" not in query:
            return _page("Who are you?", _people(query, added))
        sub, groups = _chosen(query["person"], added)
        code = secrets.token_urlsafe(24)
        self._forget_old()
        self._codes[code] = _Code(
            sub, groups, query["redirect_uri"], query["code_challenge"], time.monotonic() + _CODE_SECONDS
        )
        back = urlencode({"code": code, "state": query.get("state", "")})
        headers = {"Location": f"{query['redirect_uri']}?{back}", "Cache-Control": "no-store"}
        return web.Response(status=302, headers=headers)

    async def token(self, request: web.BaseRequest) -> web.StreamResponse:
        """Tokens for a code or a refresh token, as RFC 6749 answers them."""
        form = await _form(request)
        kinds = {"authorization_code": self._by_code, "refresh_token": self._by_refresh_token}
        found = kinds[form["grant_type"]](form) if form.get("grant_type") in kinds else None
        if found is None:
            return web.json_response({"error": "invalid_grant"}, status=400, headers={"Cache-Control": "no-store"})
        sub, groups, until = found
        name = next((person.name for person in ROSTER if str(person.sub) == sub), None)
        answer = {
            "access_token": self._issuer.token(sub, groups, expires_in=ACCESS_SECONDS),
            "id_token": self._issuer.token(
                sub, groups, expires_in=ACCESS_SECONDS, token_use="id", name=name, email=None
            ),
            "refresh_token": self._issuer.refresh_token(sub, groups, seconds=until - time.time()),
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
        }
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    async def revoke(self, request: web.BaseRequest) -> web.StreamResponse:
        """Forget a refresh token at once (RFC 7009); one that is none is answered the same."""
        with suppress(jwt.InvalidTokenError):
            self._used[self._issuer.refreshed((await _form(request)).get("token", ""))["jti"]] = 0
        return web.Response()

    def _by_code(self, form: Mapping[str, str]) -> _Grant | None:
        code = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            code is None
            or code.expires_at <= time.monotonic()
            or (code.redirect_uri, code.challenge) != (form.get("redirect_uri"), challenge)
        ):
            return None
        return code.sub, code.groups, time.time() + REFRESH_SECONDS

    def _by_refresh_token(self, form: Mapping[str, str]) -> _Grant | None:
        """Who renews their sign-in, with the groups of today, until it would have ended anyway."""
        try:
            claims = self._issuer.refreshed(form.get("refresh_token", ""))
        except jwt.InvalidTokenError:
            return None
        now = time.monotonic()
        if self._used.setdefault(claims["jti"], now + GRACE_SECONDS) <= now:
            return None
        groups = dict.fromkeys([*claims["cognito:groups"], *self._pool.added().get(claims["sub"], ())])
        return claims["sub"], tuple(groups), claims["exp"]

    def _why_not(self, query: Mapping[str, str], added: Mapping[str, list[str]]) -> str | None:
        address = urlsplit(query.get("redirect_uri", ""))
        if f"{address.scheme}://{address.netloc}" != self._origin or address.query:
            return "It leads back to another site."
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            return "It does not ask for a code with an S256 challenge."
        if not query.get("code_challenge"):
            return "It has no challenge."
        if query.get("person", _NEWCOMER) not in {_NEWCOMER, *added, *(person.key for person in ROSTER)}:
            return "Nobody of that name is known."
        return None

    def _forget_old(self) -> None:
        now = time.monotonic()
        self._codes = {code: it for code, it in self._codes.items() if it.expires_at > now}
        if len(self._codes) >= _MOST_CODES:
            self._codes.clear()


async def _form(request: web.BaseRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs((await request.read()).decode()).items()}


def _chosen(key: str, added: Mapping[str, list[str]]) -> tuple[str, tuple[str, ...]]:
    """Who signs in, and their groups: a newcomer has just confirmed their address."""
    if key == _NEWCOMER:
        return str(uuid.uuid4()), ("customers",)
    person = next((person for person in ROSTER if person.key == key), None)
    sub, first = (str(person.sub), person.group) if person else (key, "customers")
    return sub, tuple(dict.fromkeys([first, *added.get(sub, ())]))


def _people(query: Mapping[str, str], added: Mapping[str, list[str]]) -> str:
    people = [(person.key, person.name, _ROLES[person.group]) for person in ROSTER]
    people.insert(3, (_NEWCOMER, "Somebody new", _ROLES["customers"]))
    known = {str(person.sub) for person in ROSTER}
    people += [(sub, f"User {sub}", _ROLES[groups[-1]]) for sub, groups in added.items() if sub not in known]
    lines = "".join(
        f'<li><a href="{AUTHORIZE}?{escape(urlencode({**query, "person": key}))}">'
        f"<span>{escape(name)}</span><small>{role}</small></a></li>"
        for key, name, role in people
    )
    return f"<p>On this machine no password is needed. Another tab can be another person.</p><ul>{lines}</ul>"


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><main><h1>{title}</h1>{body}</main></html>"
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)
