"""A valid intake request, for the curl lines of `autodoctor dev`, for `autodoctor demo` and for tests."""

from typing import Any, Final

INTAKE: Final[dict[str, Any]] = {
    "plan": "free",
    "payWith": "free",
    "sessionType": "chat",
    "name": "Cora Castillo",
    "email": "cora@example.com",
    "vehicle": {"year": 2015, "make": "Toyota", "model": "Corolla"},
    "concern": "It squeals when I brake.",
}
INTAKE_WITH_WAIVER: Final[dict[str, Any]] = {**INTAKE, "waiver": {"signedName": "Cora Castillo"}}
