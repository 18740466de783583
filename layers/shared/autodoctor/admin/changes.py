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
"""Default of a field that a PATCH may leave out: only what was sent is read, and a null that was sent is refused."""

MOST_CENTS: Final = 99_999_999
"""What Stripe charges at most at once, in cents of usd; Stripe's own limit."""

LEAST_CENTS: Final = 50
"""What Stripe charges at least, in cents of usd; Stripe's own limit."""

CODE: Final = r"^[a-z][a-z0-9_-]{0,39}$"
"""What a plan or a pack may be called by clients."""

OWN: Final[LiteralString] = "EXISTS (SELECT FROM admin_changes c WHERE c.id = %(change_id)s) AS own"
"""Whether this very call has done it already, on a connection that was lost before it could say so."""


def audited(actor_id: UUID) -> dict[str, object]:
    """The parameters by which a statement names its change, of which a trigger writes the row of admin_changes.

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
        Problem: `absent`, where nothing can have such a code; U+0000 would not even reach the database.
    """
    if not re.fullmatch(CODE, path["code"]):
        raise absent()
    return path["code"]
