"""A small web application's files with the headers they are served with, and its one generated file, config.json.

Nothing is compiled, bundled or loaded from elsewhere: a browser runs the files as they are. The one exception is the
client of Chime's meetings, which others wrote: a layer has it as one script.
"""

import gzip
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
from autodoctor.web.static_pages import TYPES, read

_CONFIG: Final = "config.json"
_CHIME: Final = "https://*.chime.aws wss://*.chime.aws"
"""What its client calls (aws.github.io/amazon-chime-sdk-js/modules/contentsecurity_policy.html); no voice focus, no
filters, so no code from elsewhere."""
_ASKED_AGAIN: Final = "no-cache"  # kept, but asked for again: a deployment reaches everybody at once
_FOR_GOOD: Final = "public, max-age=31536000, immutable"  # a deployment gives it another address
_NEVER: Final = re.compile(r"0(?:\.0*)?")  # a weight
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
        root: the path under which they are served, as its pages have it, without a slash at the end.
        pages: the file that answers an address without a file of its own, by the address's first segment; mails and
            Stripe lead to such addresses.
        places: what it needs to know of the rest of the deployment.
        calls: its calls.
    """

    def __init__(self, folder: Path, root: str, pages: Mapping[str, str], places: Places, calls: Calls) -> None:
        self._read = read(folder, root)
        self._files = self._read.files
        self._packed: dict[str, bytes] = {}
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
            "Cache-Control": _ASKED_AGAIN,
            "Content-Security-Policy": _policy(_origins(places.connects_to), places.pictures_from),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": _permissions("()"),
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        self._of_calls = {"Permissions-Policy": _permissions("(self)")}
        if self._is_chime:
            hosts = f"{_CHIME} {_origins(places.connects_to)}"
            # its client protects sound against loss in a worker that it makes of its own text
            self._of_calls["Content-Security-Policy"] = _policy(hosts, places.pictures_from) + "; worker-src blob:"

    def file(self, address: str, known: str | None, accepted: str = "") -> Content | Content[bytes] | None:
        """One file; None where no file has that name.

        Args:
            address: its path below the application's, perhaps below its version.
            known: `If-None-Match`: the ETags of the copies that the browser has.
            accepted: `Accept-Encoding`: how it may be packed.
        """
        name, is_kept = self._read.named(address)
        if name not in {_CONFIG, self._calls.client} and name not in self._files:
            name = self._pages.get(name.partition("/")[0], name)
        body = self._body(name, _takes_gzip(accepted))
        if body is None:
            return None
        etag = f'"{hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest()[:32]}"'
        headers = {**self._headers, "ETag": etag}
        if is_kept and name in self._files and not name.endswith(".html"):  # what the version is a digest of
            headers["Cache-Control"] = _FOR_GOOD
        if name == self._calls.page:
            headers |= self._of_calls
        if isinstance(body, bytes):
            headers["Content-Encoding"] = "gzip"  # API Gateway packs nothing
        if name.startswith("banner/"):
            headers["Access-Control-Allow-Origin"] = "*"  # the banner is made for other sites' pages
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if known is not None and _has(known, etag):
            return Content("", _type(name), 304, headers)
        if isinstance(body, bytes):
            return Content(body, _type(name), headers=headers)
        return Content(body, _type(name), headers=headers)

    def _body(self, name: str, takes_gzip: bool) -> str | bytes | None:  # noqa: FBT001 (one caller)
        if name == self._calls.client and self._is_chime:
            return self._bundle  # which is packed, and every browser with calls takes it so
        text = self._config if name == _CONFIG else self._files.get(name)
        if text is None or not takes_gzip:
            return text
        if name not in self._packed:
            self._packed[name] = gzip.compress(text.encode(), mtime=0)
        return self._packed[name]

    @cached_property
    def _bundle(self) -> bytes:
        """300 KB that only who begins a call waits for."""
        return self._calls.bundle.read_bytes()


def _has(known: str, etag: str) -> bool:
    """Whether `If-None-Match` names it: `*`, or one of a list, weak or not (RFC 9110, section 13.1.2)."""
    return known.strip() == "*" or etag in _ETAG.findall(known)


def _takes_gzip(accepted: str) -> bool:
    """Whether `Accept-Encoding` names gzip, and not as what is not wanted (RFC 9110, section 12.5.3)."""
    for each in accepted.lower().split(","):
        coding, _, weight = each.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return not _NEVER.fullmatch(weight)
    return False


def _type(name: str) -> str:
    return TYPES.get(Path(name).suffix, "application/json")


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
