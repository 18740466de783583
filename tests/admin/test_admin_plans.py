"""Admins add and change plans and credit packs: for later intakes, never for existing ones."""

from collections import Counter
from functools import partial

import psycopg
import pytest
from pydantic import ValidationError

from autodoctor.admin.packs import (
    CreditPackExists,
    CreditPackNotFound,
    CreditPackPatch,
    NewCreditPack,
    add_pack,
    all_packs,
    change_pack,
)
from autodoctor.admin.plans import AdminPlan, NewPlan, PlanExists, PlanNotFound, PlanPatch, all_plans
from autodoctor.errors import Unprocessable
from autodoctor.ids import new_id
from autodoctor.intake.funded import start_funded_intake
from autodoctor.payments.checkout.price_list import plans as sold
from autodoctor.payments.ledger import accounts
from autodoctor.payments.settlement import settle
from support.admin_changes import ADMIN, NEW_PLAN, at_once, body, changes, new_plan, patch_plan
from support.money.purchases import balance, buy, complete, give, spendable
from support.world import World, intake_request

PACK: dict[str, object] = {"code": "two", "name": "Two", "credits": 2, "priceCents": 1900}
MINUTES: dict[str, object] = {"code": "m20", "minutes": 20, "priceCents": 799, "credits": 0}
RACES = 20


def plan(world: World, code: str) -> AdminPlan:
    (found,) = (each for each in all_plans(world.app).plans if each.code == code)
    return found


def pointers(refused: pytest.ExceptionInfo[Unprocessable]) -> list[str]:
    errors = refused.value.extras["errors"]
    assert isinstance(errors, list)
    return [error["pointer"] for error in errors]


# --- plans ----------------------------------------------------------------------------------------


def test_admins_see_all_terms_cheapest_first(world: World) -> None:
    assert [each.code for each in all_plans(world.app).plans] == ["free", "quick", "standard", "diagnostic"]
    quick = plan(world, "quick")
    assert (quick.price_cents, quick.mechanic_share_bp, quick.mechanic_fixed_pay_cents) == (999, 7000, 0)


def test_a_new_plan_is_sold_at_once(world: World) -> None:
    added = new_plan(world.app)
    assert (added.session_types, added.max_minutes, added.currency) == (["chat", "video"], 180, "usd")
    assert plan(world, "gold") == added
    assert "gold" in {each.code for each in sold(world.app).plans}
    give(world, customer := new_id(), 9)
    request = intake_request(plan="gold", payWith="credit", sessionType="video")
    start_funded_intake(world.app, customer, request)
    assert world.one("SELECT price_cents FROM intakes WHERE plan_code = 'gold'") == 9999
    change, _grant = changes(world)
    assert (change["kind"], change["subject"], change["after"]["price_cents"]) == ("plan.added", "gold", 9999)


def test_what_a_patch_leaves_out_stays(world: World) -> None:
    was = plan(world, "quick")
    changed = patch_plan(world.app, "quick", priceCents=1299, mechanicShareBp=7500)
    assert changed == was.model_copy(update={"price_cents": 1299, "mechanic_share_bp": 7500})
    assert plan(world, "quick") == changed
    (change,) = changes(world)
    assert (change["actor_id"], change["kind"], change["subject"]) == (ADMIN, "plan.changed", "quick")
    assert change["before"] == {"price_cents": 999, "mechanic_share_bp": 7000}
    assert change["after"] == {"price_cents": 1299, "mechanic_share_bp": 7500}


def test_packs_of_minutes_are_replaced_as_a_whole(world: World) -> None:
    changed = patch_plan(world.app, "quick", minutePacks=[MINUTES, {**MINUTES, "code": "m30", "minutes": 30}])
    assert [(each.code, each.minutes, each.price_cents, each.credits) for each in changed.minute_packs] == [
        ("m20", 20, 799, 0),
        ("m30", 30, 799, 0),
    ]
    assert plan(world, "quick") == changed
    (change,) = changes(world)
    assert (change["kind"], [*change["after"]]) == ("plan.changed", ["minute_packs"])
    assert patch_plan(world.app, "quick", minutePacks=[]).minute_packs == []


def test_a_limit_of_uses_comes_and_goes(world: World) -> None:
    assert patch_plan(world.app, "free", usesPerCustomer=2).uses_per_customer == 2
    assert patch_plan(world.app, "free", usesPerCustomer=None).uses_per_customer is None


def test_what_changes_nothing_leaves_no_row(world: World) -> None:
    patch_plan(world.app, "quick", priceCents=999)
    patch_plan(world.app, "quick", name="Quick chat", currency="eur", sessionTypes=["video"])
    assert plan(world, "quick").session_types == ["chat"]
    assert changes(world) == []


@pytest.mark.parametrize(
    ("code", "fields", "at"),
    [
        ("free", {"priceCents": 100}, ["/priceCents"]),
        ("quick", {"priceCents": 0, "credits": 0}, ["/priceCents"]),
        ("quick", {"priceCents": 49}, ["/priceCents"]),
        ("free", {"credits": 1}, ["/credits"]),
        ("quick", {"maxMinutes": 29}, ["/maxMinutes"]),
        ("quick", {"includedMinutes": 181}, ["/maxMinutes"]),
        ("quick", {"includedMinutes": 181, "priceCents": 1}, ["/priceCents", "/maxMinutes"]),
        ("quick", {"includedMinutes": 166, "minutePacks": [MINUTES]}, ["/minutePacks/0/minutes"]),
        (
            "quick",
            {"minutePacks": [MINUTES, {**MINUTES, "minutes": 151}]},
            ["/minutePacks/1/code", "/minutePacks/1/minutes"],
        ),
    ],
)
def test_terms_that_do_not_fit_each_other_are_refused(
    world: World, code: str, fields: dict[str, object], at: list[str]
) -> None:
    was = plan(world, code)
    with pytest.raises(Unprocessable) as refused:
        patch_plan(world.app, code, **fields)
    assert pointers(refused) == at
    assert plan(world, code) == was
    assert changes(world) == []


@pytest.mark.parametrize(
    "fields",
    [
        *({"code": "Gold"}, {"code": ""}, {"code": "a" * 41}, {"sessionTypes": []}, {"sessionTypes": ["phone"]}),
        *({"priceCents": -1}, {"priceCents": 9.99}, {"priceCents": 10**9}, {"mechanicShareBp": 10_001}),
        *({"credits": -1}, {"usesPerCustomer": 0}, {"includedMinutes": 0}, {"name": None}, {"priceCents": None}),
    ],
)
def test_what_is_no_plan_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        body(NewPlan, {**NEW_PLAN, **fields})
    if not fields.keys() & {"code", "sessionTypes"}:
        with pytest.raises(ValidationError):
            body(PlanPatch, fields)


@pytest.mark.parametrize("fields", [{"priceCents": 49}, {"priceCents": 0}, {"maxMinutes": 89}])
def test_a_new_plan_whose_terms_do_not_fit_is_refused(world: World, fields: dict[str, object]) -> None:
    with pytest.raises(Unprocessable):
        new_plan(world.app, **fields)
    assert changes(world) == []


def test_a_code_is_one_plan(world: World) -> None:
    with pytest.raises(PlanExists):
        new_plan(world.app, code="quick")
    with pytest.raises(PlanNotFound):
        patch_plan(world.app, "golden", priceCents=100)
    assert changes(world) == []


@pytest.mark.parametrize("change", ["price_cents = 1", "credits = 1"])
def test_the_free_plan_costs_nothing_whoever_changes_it(world: World, change: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute(f"UPDATE plans SET {change} WHERE code = 'free'".encode())


# --- what was sold stays as it was ----------------------------------------------------------------


def test_who_bought_before_pays_and_earns_what_they_were_promised(world: World) -> None:
    give(world, customer := new_id(), 3)
    held = world.mechanic()
    created = buy(world, customer, "standard")
    terms = {"priceCents": 9999, "credits": 50, "mechanicShareBp": 0, "maxMinutes": 60, "usesPerCustomer": 1}
    patch_plan(world.app, "standard", **terms)
    complete(world, created, customer, held)
    settle(world.app, created.session_id)
    assert balance(world, accounts.mechanic_payable(held.id)) == 2099  # 70 % of 2999 cents
    assert spendable(world, customer) == 0


def test_who_bought_before_gets_back_what_they_gave(world: World) -> None:
    give(world, customer := new_id(), 3)
    created = buy(world, customer, "standard")
    patch_plan(world.app, "standard", credits=50)
    world.end(customer, created.session_id)
    settle(world.app, created.session_id)
    assert spendable(world, customer) == 3


# --- at once --------------------------------------------------------------------------------------


def test_of_two_admins_who_add_one_code_one_is_told_that_there_is_one(world: World) -> None:
    for number in range(RACES):
        answers = at_once(world, *(partial(new_plan, code=f"gold{number}"),) * 2)
        assert Counter(type(answer) for answer in answers) == {AdminPlan: 1, PlanExists: 1}
    assert len(changes(world)) == RACES


def test_two_admins_cannot_together_make_what_neither_could(world: World) -> None:
    """Each of the two is allowed while the other has not happened."""
    for _ in range(RACES):
        shorter, longer = partial(patch_plan, maxMinutes=100), partial(patch_plan, includedMinutes=120)
        answers = at_once(world, *(lambda db, patch=patch: patch(db, "quick") for patch in (shorter, longer)))
        assert Counter(type(answer) for answer in answers) == {AdminPlan: 1, Unprocessable: 1}
        patch_plan(world.app, "quick", includedMinutes=30, maxMinutes=180)
    assert len(changes(world)) == 2 * RACES


# --- credit packs ---------------------------------------------------------------------------------


def test_packs_are_added_changed_and_withdrawn(world: World) -> None:
    added = add_pack(world.app, ADMIN, body(NewCreditPack, PACK))
    assert added.active
    assert [each.code for each in all_packs(world.app).credit_packs] == ["two", "five", "ten", "twenty"]
    gone = change_pack(world.app, ADMIN, "two", body(CreditPackPatch, {"active": False, "priceCents": 1800}))
    assert gone == added.model_copy(update={"active": False, "price_cents": 1800})
    assert [each.code for each in sold(world.app).credit_packs] == ["five", "ten", "twenty"]
    assert change_pack(world.app, ADMIN, "two", CreditPackPatch()) == gone
    assert [(each["kind"], each["subject"]) for each in changes(world)] == [
        ("credit_pack.added", "two"),
        ("credit_pack.changed", "two"),
    ]
    assert changes(world)[1]["before"] == {"active": True, "price_cents": 1900}


def test_a_code_is_one_pack(world: World) -> None:
    with pytest.raises(CreditPackExists):
        add_pack(world.app, ADMIN, body(NewCreditPack, {**PACK, "code": "five"}))
    with pytest.raises(CreditPackNotFound):
        change_pack(world.app, ADMIN, "six", CreditPackPatch(credits=6))
    assert changes(world) == []


@pytest.mark.parametrize("fields", [{"credits": 0}, {"priceCents": 49}, {"code": "2"}, {"active": 1}, {"name": ""}])
def test_what_is_no_pack_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        body(NewCreditPack, {**PACK, **fields})
