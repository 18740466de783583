"""The issuer's sign-in page and token endpoint: OpenID Connect's authorization code with PKCE, without passwords.

On AWS this is Cognito's page. Here it lets one choose a person of the local cloud.
"""

import base64
import hashlib
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from localcloud.identity.issuer import PATH, Issuer
from localcloud.identity.roster import ROSTER
from localcloud.identity.user_pool import UserPool

AUTHORIZE: Final = f"{PATH}/authorize"
TOKEN: Final = f"{PATH}/token"
_CODE_SECONDS: Final = 60
_TOKEN_SECONDS: Final = 12 * 3600
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
        """A token for a code, as RFC 6749 answers it."""
        form = {name: values[0] for name, values in parse_qs((await request.read()).decode()).items()}
        code = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        usable = (
            form.get("grant_type") == "authorization_code"
            and code is not None
            and code.expires_at > time.monotonic()
            and (code.redirect_uri, code.challenge) == (form.get("redirect_uri"), challenge)
        )
        if not usable or code is None:
            return web.json_response({"error": "invalid_grant"}, status=400, headers={"Cache-Control": "no-store"})
        token = self._issuer.token(code.sub, code.groups, expires_in=_TOKEN_SECONDS)
        name = next((person.name for person in ROSTER if str(person.sub) == code.sub), None)
        identity = self._issuer.token(
            code.sub, code.groups, expires_in=_TOKEN_SECONDS, token_use="id", name=name, email=None
        )
        answer = {"access_token": token, "id_token": identity, "token_type": "Bearer", "expires_in": _TOKEN_SECONDS}
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

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
