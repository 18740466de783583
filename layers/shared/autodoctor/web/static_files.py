"""A small web application's files with the headers they are served with, and its one generated file, config.json.

Nothing is compiled, bundled or loaded from elsewhere: a browser runs the files as they are.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
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


class StaticFiles:
    """The files of a folder, read once.

    Args:
        folder: where they are.
        pages: the file that answers an address without a file of its own, by the address's first segment; mails and
            Stripe lead to such addresses.
        places: what it needs to know of the rest of the deployment.
        calls: the only page that may use camera and microphone.
    """

    def __init__(self, folder: Path, pages: Mapping[str, str], places: Places, calls: str) -> None:
        self._files = _read(folder)
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
            "Content-Security-Policy": _policy(places.connects_to, places.pictures_from),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": _permissions("()"),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def file(self, name: str, known: str | None) -> Content | None:
        """One file; None where no file has that name.

        Args:
            name: its path below the folder.
            known: `If-None-Match`: the ETags of the copies that the browser has.
        """
        if name != _CONFIG and name not in self._files:
            name = self._pages.get(name.partition("/")[0], name)
        body = self._config if name == _CONFIG else self._files.get(name)
        if body is None:
            return None
        etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
        headers = {**self._headers, "ETag": etag}
        if name == self._calls:
            headers["Permissions-Policy"] = _permissions("(self)")
        if name.startswith("banner/"):
            headers["Access-Control-Allow-Origin"] = "*"  # the banner is made for other sites' pages
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if known is not None and _has(known, etag):
            return Content("", _type(name), 304, headers)
        return Content(body, _type(name), headers=headers)


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


def _policy(connects_to: str, pictures_from: str) -> str:
    # blob: is a picture of the page's own, shown before it is uploaded
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' data: blob: {_origins(pictures_from)}; "
        f"connect-src 'self' {_origins(connects_to)}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _origins(urls: str) -> str:
    addresses = [urlsplit(each) for each in urls.split()]
    return " ".join(sorted({f"{address.scheme}://{address.netloc}" for address in addresses}))
