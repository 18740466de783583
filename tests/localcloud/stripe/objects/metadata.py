"""Metadata: the caller's own keys and values, within Stripe's limits."""

from collections.abc import Mapping
from typing import Final

from localcloud.stripe.http.errors import invalid

_MOST_KEYS: Final = 50
_LONGEST_KEY: Final = 40
_LONGEST_VALUE: Final = 500


def merged(before: Mapping[str, str], given: object) -> dict[str, str]:
    """Return metadata after a request: an empty value unsets its key, an empty string unsets all. Raises ApiError."""
    if given is None:
        return dict(before)
    if not isinstance(given, dict):
        return {}
    found = {key: value for key, value in {**before, **given}.items() if value != ""}
    if len(found) > _MOST_KEYS:
        raise invalid(f"You can have at most {_MOST_KEYS} metadata keys", "metadata")
    for key, value in found.items():
        if len(key) > _LONGEST_KEY:
            raise invalid(f"Metadata keys can be up to {_LONGEST_KEY} characters long", f"metadata[{key}]")
        if len(value) > _LONGEST_VALUE:
            raise invalid(f"Metadata values can be up to {_LONGEST_VALUE} characters long", f"metadata[{key}]")
    return found
