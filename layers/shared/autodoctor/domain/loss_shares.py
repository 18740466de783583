"""How platform and mechanic share losses: in cents, half to even, all losses together at most the price."""

from dataclasses import dataclass

from autodoctor.domain.money import share_of


@dataclass(frozen=True, slots=True)
class Shares:
    """A loss, divided without remainder.

    Attributes:
        mechanic: the mechanic's part in cents, or how many of a pack's credits it is for.
        rest: the platform's part in cents.
    """

    mechanic: int
    rest: int


def shared(loss: int, price: int, earned: int, before: int, borne: int) -> Shares:
    """Divide a loss as the price was divided, so that a price that is lost bit by bit is divided like one lost at once.

    Args:
        loss: cents that went back now.
        price: cents that were paid.
        earned: of them the mechanic's, in cents.
        before: cents of earlier losses.
        borne: of them the mechanic's, in cents.
    """
    aimed = share_of(earned, min(before + loss, price), price)
    mechanic = max(0, min(aimed - borne, loss, earned - borne))
    return Shares(mechanic, loss - mechanic)


def credits_of(loss: int, price: int, credits_: int, before: int, taken: int) -> int:
    """The number of a pack's credits that a loss is for.

    Args:
        loss: cents that went back now.
        price: of the pack, in cents.
        credits_: how many it had.
        before: cents of earlier losses.
        taken: how many credits those were for.
    """
    aimed = share_of(credits_, min(before + loss, price), price)
    return max(0, min(aimed - taken, credits_ - taken))
