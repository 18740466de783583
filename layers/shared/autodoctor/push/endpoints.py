"""Which addresses are called: an endpoint is an address that a user gave us, and our network sees more than theirs.

Only the push services of the browsers, over https, at the usual port: PUSH_HOSTS lists them. A host whose first label
is `*` stands for every host below it. An entry with a scheme is an origin, and stands for itself (the local cloud's).
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from autodoctor.settings import required

MOST_CHARACTERS: Final = 2000
# Nothing that two readers of URLs could read differently: no user, port, fragment, escape of a host, or space.
_ADDRESS: Final = re.compile(r"(https?://[a-z0-9.-]+(?::[0-9]{1,5})?)(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)")
_SECURE: Final = "https://"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that may be called.

    Attributes:
        origin: of its push service.
        target: its path, with the query.
    """

    origin: str
    target: str

    @property
    def host(self) -> str:
        """The push service, as a person may read it."""
        return urlsplit(self.origin).hostname or ""


class NotAPushService(ValueError):
    """An address that is no push service's."""


def endpoint_of(address: str) -> Endpoint:
    """Take an address apart, if it may be called.

    Raises:
        NotAPushService: it is not of PUSH_HOSTS, or not plain.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None or len(address) > MOST_CHARACTERS or not _is_known(parts[1]):
        raise NotAPushService
    return Endpoint(parts[1], parts[2])


def _is_known(origin: str) -> bool:
    host = origin.removeprefix(_SECURE) if origin.startswith(_SECURE) else None
    for entry in required("PUSH_HOSTS").split():
        if "://" in entry:
            if origin == entry:
                return True
        elif host is not None and (host == entry or (entry.startswith("*.") and host.endswith(entry[1:]))):
            return True
    return False
