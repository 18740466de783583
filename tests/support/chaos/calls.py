"""What customers and mechanics do with a session, call by call, as scenarios of support.chaos.scenarios are."""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from support.chaos.money_driver import MoneyDriver
from support.chaos.scenarios import Scenario
from support.world import Mechanic

type Act = Callable[[int | None], object]


def _calls(  # noqa: PLR0913, PLR0917 (each part of a request)
    money: MoneyDriver, name: str, route: str, who: UUID, group: str, path: Mapping[str, object], body: object = None
) -> Act:
    def act(die: int | None) -> None:
        named = {key: str(value) for key, value in path.items()}
        given = body if isinstance(body, dict) else None
        status, answer = money.env.pool.call(name, route, who, group, path=named, body=given, die_before=die)
        assert status in (200, 201), (route, answer)

    return act


def waiver(money: MoneyDriver, customer: UUID) -> Act:
    created = money.env.world.pending(customer)
    body = {"sessionId": str(created.session_id), "signedName": "Cora Castillo"}
    return _calls(money, "waiver", "POST /api/waiver/submit", customer, "customers", {}, body)


def accept(money: MoneyDriver, customer: UUID) -> Act:
    mechanic, created = money.env.world.mechanic(), money.env.world.queued(customer)
    route, path = "POST /api/mechanic/assignments/{assignmentId}/accept", {"assignmentId": created.assignment_id}
    return _calls(money, "accept", route, mechanic.user_id, "mechanics", path)


def decline(money: MoneyDriver, customer: UUID) -> Act:
    mechanic = money.env.world.mechanic()
    created = money.env.world.queued(customer, preferredMechanicId=mechanic.id)
    route, path = "POST /api/mechanic/assignments/{assignmentId}/decline", {"assignmentId": created.assignment_id}
    return _calls(money, "accept", route, mechanic.user_id, "mechanics", path)


def _in_session(
    money: MoneyDriver, customer: UUID, verb: str, *, as_mechanic: bool, met: bool = False
) -> tuple[Mechanic, Act]:
    mechanic = money.env.new_mechanic() if met else money.env.world.mechanic()  # who meets anybody is to be paid
    created = money.env.world.waiting(mechanic, customer)
    if met:
        money.env.world.meet(created.session_id, customer, mechanic)
    who, group = (mechanic.user_id, "mechanics") if as_mechanic else (customer, "customers")
    name = "end_session" if verb == "end" else "presence"
    route, path = f"POST /api/sessions/{{sessionId}}/{verb}", {"sessionId": created.session_id}
    return mechanic, _calls(money, name, route, who, group, path)


def join(money: MoneyDriver, customer: UUID) -> Act:
    return _in_session(money, customer, "join", as_mechanic=True)[1]


def leave(money: MoneyDriver, customer: UUID) -> Act:
    return _in_session(money, customer, "leave", as_mechanic=False, met=True)[1]


def release(money: MoneyDriver, customer: UUID) -> Act:
    return _in_session(money, customer, "release", as_mechanic=True)[1]


def end(money: MoneyDriver, customer: UUID) -> Act:
    return _in_session(money, customer, "end", as_mechanic=True, met=True)[1]


def expiry(money: MoneyDriver, customer: UUID) -> Act:
    created = money.env.world.queued(customer)
    money.env.outlive(created.session_id)
    return lambda die: money.sweep("expire_orphans", die)


CALLS: Final[dict[Scenario, int]] = {
    waiver: 2,
    accept: 2,
    decline: 2,
    join: 2,
    leave: 2,
    release: 2,
    end: 2,
    expiry: 8,
}
"""Each with how many steps it has at least, as SCENARIOS."""
