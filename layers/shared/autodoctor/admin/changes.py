"""Changes by admins: a PATCH as columns, and the row of admin_changes that every change leaves."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from autodoctor.errors import Problem
from autodoctor.ids import new_id
from autodoctor.web.schemas import RequestBody

ABSENT: Final[Any] = None
"""Default of a field that a PATCH may omit: only sent fields are read, and a sent null is refused."""

MOST_CENTS: Final = 99_999_999
"""The largest charge that Stripe allows, in cents of usd."""

LEAST_CENTS: Final = 50
"""The smallest charge that Stripe allows, in cents of usd."""

CODE: Final = r"^[a-z][a-z0-9_-]{0,39}$"
"""The form of a plan's or pack's code."""

OWN: Final[LiteralString] = "EXISTS (SELECT FROM admin_changes c WHERE c.id = %(change_id)s) AS own"
"""Whether this very call has already made the change, on a connection that was lost before the answer."""


def audited(actor_id: UUID) -> dict[str, object]:
    """The parameters by which a statement names its change; a trigger writes them to admin_changes.

    Args:
        actor_id: the admin's `sub`.
    """
    return {"change_id": new_id(), "actor_id": actor_id}


def columns(patch: RequestBody) -> Jsonb:
    """The columns that a PATCH sets, for jsonb_populate_record()."""
    return Jsonb(patch.model_dump(mode="json", exclude_unset=True))


def code_of(path: Mapping[str, str], absent: Callable[[], Problem]) -> str:
    """The code in a path.

    Raises:
        Problem: `absent`, for a malformed code, which nothing can have; U+0000 would not even reach the database.
    """
    if not re.fullmatch(CODE, path["code"]):
        raise absent()
    return path["code"]
