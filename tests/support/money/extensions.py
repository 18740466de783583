"""Extensions of talks, the short way."""

from uuid import UUID

from autodoctor.extensions.extend import (
    ExtendRequest,
    ExtensionAnswer,
    ExtensionState,
    answer_extension,
    extend,
)
from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from support.money.purchases import charge, give
from support.money.refund_env import RefundEnv
from support.world import Mechanic, World

INCLUDED_SECONDS, PACK_SECONDS = 30 * 60, 15 * 60
"""Of the seeded plan `quick`, and of its pack, for a credit or $5.99."""


def ask(world: World, customer: UUID, session_id: UUID, pack: str = "m15", pay_with: str = "credit") -> ExtensionState:
    """Ask for more minutes, as its customer."""
    request = ExtendRequest.model_validate({"pack": pack, "payWith": pay_with})
    return extend(world.app, customer, session_id, request)


def answer(world: World, mechanic: Mechanic, asked: ExtensionState, *, agrees: bool = True) -> ExtensionState:
    """Answer it, as its mechanic."""
    return answer_extension(
        world.app, mechanic.user_id, asked.session_id, asked.extension_id, ExtensionAnswer(agrees=agrees)
    )


def extended(world: World, customer: UUID, mechanic: Mechanic, session_id: UUID) -> UUID:
    """Fifteen minutes more, by credits; returns the extension."""
    return answer(world, mechanic, ask(world, customer, session_id)).extension_id


def extended_by_card(env: RefundEnv, session_id: UUID) -> UUID:
    """Fifteen minutes more, by card; returns the extension."""
    world, customer = env.checkout_env.world, env.customer(session_id)
    answer(world, env.mechanic, ask(world, customer, session_id, pay_with="card"))
    extension_id = ask(world, customer, session_id, pay_with="card").extension_id
    query = "SELECT stripe_session_id FROM checkouts WHERE intake_id = %s"
    env.checkout_env.stripe.pay(world.one(query, extension_id))
    env.tell()
    return extension_id


def talked(env: RefundEnv, *ways: str) -> list[UUID]:
    """A session by card, extended in each of these ways, used to the end and settled; its id, then the extensions'."""
    ids = talked_untold(env, *ways)
    env.checkout_env.world.owner.execute("DELETE FROM outbox")  # the bus has them: so old ones would be late
    return ids


def talked_untold(env: RefundEnv, *ways: str) -> list[UUID]:
    """The same, and the bus has none of its events."""
    world, session_id = env.checkout_env.world, env.buy()
    customer = env.customer(session_id)
    give(world, customer, ways.count("credit") + 1)
    world.accept(env.mechanic, env.checkout_env.session())
    world.meet(session_id, customer, env.mechanic)
    extensions = [
        extended_by_card(env, session_id) if way == "card" else extended(world, customer, env.mechanic, session_id)
        for way in ways
    ]
    world.let_time_pass(INCLUDED_SECONDS + PACK_SECONDS * len(ways))
    assert world.end(customer, session_id).status == "completed"
    assert settle(world.app, session_id)
    return [session_id, *extensions]


def paid_by_card(world: World, customer: UUID, mechanic: Mechanic, session_id: UUID) -> UUID:
    """Fifteen minutes more, by card and without Stripe, as the webhook will leave them; returns the extension."""
    extension_id = answer(world, mechanic, ask(world, customer, session_id, pay_with="card")).extension_id
    world.app.one("SELECT * FROM extension_checkout(%s, %s, %s, %s)", (session_id, extension_id, customer, new_id()))
    world.owner.execute(
        "UPDATE checkouts SET status = 'paid', stripe_session_id = 'cs_' || id, stripe_payment_intent_id = 'pi_' || id"
        " WHERE intake_id = %s",
        [extension_id],
    )
    charge(world, extension_id)
    world.app.one("SELECT extension_paid(%s)", (extension_id,))
    return extension_id
