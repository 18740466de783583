"""Settings from the environment, checked when the function starts: a bad deployment fails loudly and at once."""

import os
from functools import cache


class SettingMissing(RuntimeError):
    """An environment variable that the function needs is not set."""

    def __init__(self, name: str) -> None:
        super().__init__(f"environment variable {name} is not set")
        self.name = name


def required(name: str) -> str:
    """The value of an environment variable.

    Raises:
        SettingMissing: it is absent or empty.
    """
    value = os.environ.get(name)
    if not value:
        raise SettingMissing(name)
    return value


@cache
def session_base_url() -> str:
    """Where the chat or video medium lives, without a slash at the end."""
    return required("SESSION_BASE_URL").rstrip("/")
