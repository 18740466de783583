"""Extensions of talks, the short way."""

from uuid import UUID

from autodoctor.extensions.extend import (
    ExtendRequest,
    ExtensionAnswer,
    ExtensionState,
    answer_extension,
    extend,
)
from support.world import Mechanic, World


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
