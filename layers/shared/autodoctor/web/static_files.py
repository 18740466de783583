"""A small web application's files with the headers they are served with, and its one generated file, config.json.

Nothing is compiled, bundled or loaded from elsewhere: a browser runs the files as they are. The one exception is the
client of Chime's meetings, which others wrote: a layer has it as one script.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from autodoctor.web.http import Content

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
}
_CONFIG: Final = "config.json"
_CHIME: Final = "https://*.chime.aws wss://*.chime.aws"
"""What its client calls (aws.github.io/amazon-chime-sdk-js/modules/contentsecurity_policy.html); no voice focus, no
filters, so no code from elsewhere."""
_ETAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Places:
    """The rest of the deployment, as the application's pages see it.

    Attributes:
        issuer: URL of the issuer whose tokens the API accepts, where users sign in.
        client_id: the application's id at the issuer.
        medium: the driver by which its pages call, `chime` or `local`.
        connects_to: URLs that it may call beside its own origin, separated by spaces: issuer, feed, and where files are
            uploaded.
        pictures_from: URL from which it may show pictures, beside its own origin.
        sessions: URL below which the parties of a session meet, at `/chat/ID` or `/video/ID`.
    """

    issuer: str
    client_id: str
    medium: str
    connects_to: str
    pictures_from: str
    sessions: str


@dataclass(frozen=True, slots=True)
class Calls:
    """How the application calls.

    Attributes:
        page: the only page that may use camera and microphone.
        client: the name under which the client of Chime's meetings is served, where the medium is `chime`.
        bundle: that client, one script, gzipped.
    """

    page: str
    client: str
    bundle: Path


class StaticFiles:
    """The files of a folder, read once.

    Args:
        folder: where they are.
        pages: the file that answers an address without a file of its own, by the address's first segment; mails and
            Stripe lead to such addresses.
        places: what it needs to know of the rest of the deployment.
        calls: its calls.
    """

    def __init__(self, folder: Path, pages: Mapping[str, str], places: Places, calls: Calls) -> None:
        self._files = _read(folder)
        self._is_chime = places.medium == "chime"
        self._pages = pages
        self._calls = calls
        self._config = json.dumps(
            {
                "issuer": places.issuer,
                "clientId": places.client_id,
                "medium": places.medium,
                "sessions": places.sessions,
            }
        )
        self._headers = {
            "Cache-Control": "no-cache",  # kept, but asked for again: a deployment reaches everybody at once
            "Content-Security-Policy": _policy(_origins(places.connects_to), places.pictures_from),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": _permissions("()"),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        self._of_calls = {"Permissions-Policy": _permissions("(self)")}
        if self._is_chime:
            hosts = f"{_CHIME} {_origins(places.connects_to)}"
            # its client protects sound against loss in a worker that it makes of its own text
            self._of_calls["Content-Security-Policy"] = _policy(hosts, places.pictures_from) + "; worker-src blob:"

    def file(self, name: str, known: str | None) -> Content | Content[bytes] | None:
        """One file; None where no file has that name.

        Args:
            name: its path below the folder.
            known: `If-None-Match`: the ETags of the copies that the browser has.
        """
        if name not in {_CONFIG, self._calls.client} and name not in self._files:
            name = self._pages.get(name.partition("/")[0], name)
        body = self._body(name)
        if body is None:
            return None
        etag = f'"{hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest()[:32]}"'
        headers = {**self._headers, "ETag": etag}
        if name == self._calls.page:
            headers |= self._of_calls
        if isinstance(body, bytes):
            headers["Content-Encoding"] = "gzip"  # which every browser with calls takes; API Gateway packs nothing
        if name.startswith("banner/"):
            headers["Access-Control-Allow-Origin"] = "*"  # the banner is made for other sites' pages
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if known is not None and _has(known, etag):
            return Content("", _type(name), 304, headers)
        if isinstance(body, bytes):
            return Content(body, _type(name), headers=headers)
        return Content(body, _type(name), headers=headers)

    def _body(self, name: str) -> str | bytes | None:
        if name == self._calls.client and self._is_chime:
            return self._bundle
        return self._config if name == _CONFIG else self._files.get(name)

    @cached_property
    def _bundle(self) -> bytes:
        """300 KB that only who begins a call waits for."""
        return self._calls.bundle.read_bytes()


def _read(folder: Path) -> dict[str, str]:
    """Every file's text by its name: only what is listed here can ever be answered."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix in _TYPES
    }


def _has(known: str, etag: str) -> bool:
    """Whether `If-None-Match` names it: `*`, or one of a list, weak or not (RFC 9110, section 13.1.2)."""
    return known.strip() == "*" or etag in _ETAG.findall(known)


def _type(name: str) -> str:
    return _TYPES.get(Path(name).suffix, "application/json")


def _permissions(devices: str) -> str:
    return f"camera={devices}, geolocation=(), microphone={devices}"


def _policy(hosts: str, pictures_from: str) -> str:
    # blob: is a picture of the page's own, shown before it is uploaded
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' data: blob: {_origins(pictures_from)}; "
        f"connect-src 'self' {hosts}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _origins(urls: str) -> str:
    addresses = [urlsplit(each) for each in urls.split()]
    return " ".join(sorted({f"{address.scheme}://{address.netloc}" for address in addresses}))
