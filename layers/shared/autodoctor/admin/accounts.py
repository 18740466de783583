"""POST /api/admin/mechanics/{mechanicId}/renew-account: gives up a Stripe account that no longer works."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.admin.changes import OWN, audited
from autodoctor.admin.mechanics import MechanicNotFound
from autodoctor.db import Database
from autodoctor.web.schemas import ResponseModel

_RENEW: Final[LiteralString] = (
    """
WITH renewed AS MATERIALIZED (
  SELECT m.id, a.stripe_account_id, renew_mechanic_account(m.id) AS done
    FROM mechanics m LEFT JOIN mechanic_accounts a ON a.mechanic_id = m.id WHERE m.id = %(mechanic_id)s
), audit AS (
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  SELECT %(change_id)s, %(actor_id)s, 'mechanic.changed', id::text, '{stripe_account_id}',
         jsonb_build_object('stripe_account_id', stripe_account_id), '{}'
    FROM renewed WHERE done
)
SELECT renewed.done, """
    + OWN
    + " FROM renewed"
)


class AccountRenewed(ResponseModel):
    """Whether an account was given up; false when the mechanic has none, and can start the onboarding anyway."""

    mechanic_id: UUID
    renewed: bool


def renew_account(database: Database, admin_id: UUID, mechanic_id: UUID) -> AccountRenewed:
    """Let a mechanic repeat Stripe's onboarding, and get the money they are owed on the new account.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        mechanic_id: the mechanic whose account Stripe rejected or closed.

    Raises:
        MechanicNotFound: there is no such mechanic.
    """
    parameters = {**audited(admin_id), "mechanic_id": mechanic_id}
    row = database.one(_RENEW, parameters)
    if row is None:
        raise MechanicNotFound
    return AccountRenewed(mechanic_id=mechanic_id, renewed=row["done"] or row["own"])
