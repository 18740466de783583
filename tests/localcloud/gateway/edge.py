"""API Gateway's own work at the edge: throttling and CORS."""

import time
from collections.abc import Mapping

from localcloud.stack.http_api import Cors, Throttle


class TokenBucket:
    """Lets `burst` requests through at once and `rate` per second in the long run."""

    def __init__(self, limits: Throttle) -> None:
        self._limits = limits
        self._tokens = float(limits.burst)
        self._filled_at = time.monotonic()

    def take(self) -> bool:
        """Take one token; return whether there was one."""
        now = time.monotonic()
        gained = (now - self._filled_at) * self._limits.rate
        self._tokens = min(float(self._limits.burst), self._tokens + gained)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Say whether this is a CORS preflight request, which the gateway answers itself."""
    return method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers


def preflight_headers(cors: Cors, origin: str) -> list[tuple[str, str]]:
    """Headers of the answer to a preflight request; none for an origin that is not allowed."""
    allowed = _origin_headers(cors, origin)
    if not allowed:
        return []
    if cors.methods:
        allowed.append(("access-control-allow-methods", ",".join(cors.methods)))
    if cors.headers:
        allowed.append(("access-control-allow-headers", ",".join(cors.headers)))
    if cors.max_age_seconds is not None:
        allowed.append(("access-control-max-age", str(cors.max_age_seconds)))
    return allowed


def answer_headers(cors: Cors, origin: str) -> list[tuple[str, str]]:
    """Headers the gateway adds to the answer of a request from another origin."""
    allowed = _origin_headers(cors, origin)
    if allowed and cors.expose:
        allowed.append(("access-control-expose-headers", ",".join(cors.expose)))
    return allowed


def _covers(entry: str, origin: str) -> bool:
    """Say whether an entry allows an origin. `:*` is every port of a host, which API Gateway does not know."""
    return entry in ("*", origin) or (entry.endswith(":*") and origin.rpartition(":")[0] == entry.removesuffix(":*"))


def _origin_headers(cors: Cors, origin: str) -> list[tuple[str, str]]:
    if not any(_covers(entry, origin) for entry in cors.origins):
        return []
    headers = [("access-control-allow-origin", "*" if "*" in cors.origins else origin)]
    if "*" not in cors.origins:
        headers.append(("vary", "Origin"))
    if cors.credentials:
        headers.append(("access-control-allow-credentials", "true"))
    return headers
