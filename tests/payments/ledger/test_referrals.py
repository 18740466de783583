"""Referrals: the codes that count, and earnings from the platform's share, once for each completed session."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from autodoctor.domain.money import ESCALATION_BP, REFERRAL_BP, Split
from autodoctor.domain.referral import ALPHABET, canonical_code
from autodoctor.errors import MechanicNotActive, OwnReferral, Problem, Unprocessable
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.intake.funded import start_funded_intake
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import TransferKind
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.ledger.referrals import referral_code
from autodoctor.payments.settlement import decide, settle
from support.invariants.sessions import violations
from support.money.checkout_env import CheckoutEnv
from support.money.purchases import balance, buy, buy_on, complete, give, rows, take_free
from support.money.refund_env import PRICE, RefundEnv
from support.world import Mechanic, World, intake_request

OWED = "SELECT mechanic_id, kind, amount_cents, state FROM payouts ORDER BY id"
REFERRAL = {"status": "completed", "funding": "card", "mechanic_fixed_pay_cents": 0, "credits": 0}


def code_of(world: World, mechanic: Mechanic) -> str:
    return referral_code(world.app, mechanic.user_id).referral_code


def completed(world: World, customer: UUID, mechanic: Mechanic, **fields: object) -> SessionCreated:
    """A session paid with credits, walked to its end; not settled."""
    give(world, customer, 3)
    created = buy(world, customer, "standard", None, **fields)
    complete(world, created, customer, mechanic)
    return created


# --- codes ----------------------------------------------------------------------------------------------


def test_every_mechanic_has_a_code_of_their_own(world: World) -> None:
    codes = [code_of(world, world.mechanic()) for _ in range(20)]
    assert len(set(codes)) == 20
    assert all(len(code) == 8 and set(code) <= set(ALPHABET) for code in codes)
    assert set("ILOU").isdisjoint(ALPHABET)


def test_the_same_code_is_given_each_time(world: World) -> None:
    mechanic = world.mechanic()
    assert code_of(world, mechanic) == code_of(world, mechanic)


def test_who_is_no_active_mechanic_has_no_code_to_share(world: World) -> None:
    mechanic = world.mechanic()
    world.owner.execute("UPDATE mechanics SET status = 'suspended'")
    for user_id in (mechanic.user_id, new_id()):
        with pytest.raises(MechanicNotActive):
            referral_code(world.app, user_id)


@pytest.mark.parametrize("typed", ["0a1b-2c3d", "oAIB 2c3D", "OAlb2C3D", " 0A1B2C3D "])
def test_a_code_is_read_as_it_was_meant(typed: str) -> None:
    assert canonical_code(typed) == "0A1B2C3D"


@pytest.mark.parametrize(
    "typed", ["", "0A1B2C3", "0A1B2C3DE", "0A1B2C3U", "0A1B2C3ß", "0A1B2C3\N{FULLWIDTH DIGIT ONE}"]
)
def test_what_can_be_no_code_is_none(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a referral code"):
        canonical_code(typed)


# --- at intake ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"plan": "quick", "payWith": "credit"}, {"plan": "quick", "payWith": "card"}])
@pytest.mark.parametrize("code", ["00000000", "nonsense"])
def test_a_code_that_nobody_has_is_refused_at_its_field(world: World, code: str, fields: dict[str, object]) -> None:
    with pytest.raises((Unprocessable, ValueError)) as refused:
        start_funded_intake(world.app, new_id(), intake_request(referralCode=code, **fields))
    if isinstance(refused.value, Unprocessable):
        assert refused.value.extras["errors"] == [{"pointer": "/referralCode", "detail": "is not a referral code"}]
    assert rows(world, "SELECT FROM customers") == []


def test_nobody_refers_themselves(world: World) -> None:
    mechanic = world.mechanic()
    with pytest.raises(OwnReferral) as refused:
        world.pending(mechanic.user_id, referralCode=code_of(world, mechanic))
    assert (refused.value.status, refused.value.slug) == (403, "own-session")
    assert rows(world, "SELECT FROM customers") == []


def test_nor_by_hand(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    world.pending(mechanic.user_id)
    with pytest.raises(psycopg.Error) as refused:
        world.owner.execute("UPDATE customers SET referrer_id = %s", [mechanic.id])
    assert refused.value.sqlstate == "AD003"
    world.owner.execute("UPDATE customers SET referrer_id = %s", [other.id])
    with pytest.raises(psycopg.Error) as refused:
        world.owner.execute("UPDATE customers SET referrer_id = NULL")
    assert refused.value.sqlstate == "AD004"


def test_the_first_referral_wins_for_ever(world: World) -> None:
    customer, first, second = new_id(), world.mechanic(), world.mechanic()
    for session, code in enumerate((None, code_of(world, first), code_of(world, second), None)):
        created = world.pending(customer, referralCode=code)
        referrer = world.one("SELECT referrer_id FROM intakes WHERE id = %s", created.session_id)
        assert referrer == (first.id if session else None)
        world.end(customer, created.session_id)
    assert world.one("SELECT referrer_id FROM customers") == first.id
    assert referral_code(world.app, first.user_id).referred_customers == 1
    assert referral_code(world.app, second.user_id).referred_customers == 0


def test_two_codes_at_once_and_one_counts(world: World) -> None:
    customer, codes = new_id(), [code_of(world, world.mechanic()) for _ in range(2)]
    give(world, customer, 2)

    def attempt(code: str) -> str:
        with world.elsewhere() as app:
            try:
                return str(buy_on(app, customer, "quick", referralCode=code).session_id)
            except Problem as lost:
                return type(lost).__name__

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(attempt, codes))
    assert answers[1] == "ActiveSessionExists"
    assert rows(world, "SELECT referrer_id FROM customers") == rows(world, "SELECT referrer_id FROM intakes")


def test_a_suspended_mechanic_refers_nobody_new_and_hinders_nobody(world: World) -> None:
    mechanic = world.mechanic()
    code = code_of(world, mechanic)
    world.owner.execute("UPDATE mechanics SET status = 'suspended'")
    world.pending(referralCode=code)
    assert rows(world, "SELECT referrer_id FROM customers") == [(None,)]


def test_a_key_answers_again_though_the_code_is_gone(world: World) -> None:
    customer, mechanic = new_id(), world.mechanic()
    give(world, customer, 1)
    code = code_of(world, mechanic)
    first = buy(world, customer, key="key", referralCode=code)
    world.owner.execute("UPDATE mechanics SET referral_code = new_referral_code()")
    assert buy(world, customer, key="key", referralCode=code) == first


# --- what it earns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "share_bp", "referral_bp", "parts"),
    [
        (2999, 7000, 200, Split(2099, 60, 840)),  # 59.98
        (999, 7000, 200, Split(699, 20, 280)),
        (2999, 9900, 200, Split(2969, 30, 0)),  # all that the platform has
        (2999, 10_000, 200, Split(2999, 0, 0)),
        (25, 7000, 200, Split(18, 0, 7)),  # 0.5 to even
        (75, 7000, 200, Split(52, 2, 21)),
        (2999, 7000, 0, Split(2099, 0, 900)),
        (2999, 7000, None, Split(2099, 0, 900)),
    ],
)
def test_the_referral_comes_out_of_the_platforms_share(
    price: int, share_bp: int, referral_bp: int | None, parts: Split
) -> None:
    session = {
        **REFERRAL, "id": new_id(), "mechanic_id": new_id(), "referrer_id": referral_bp and new_id(),
        "price_cents": price, "mechanic_share_bp": share_bp, "referral_bp": referral_bp,
    }  # fmt: skip
    decision = decide(session)
    assert decision.split == parts
    booked = {each.kind: each.amount for each in decision.bookings}
    assert booked[TransferKind.EARNING] + booked[TransferKind.PLATFORM_SHARE] == price
    assert booked.get(TransferKind.REFERRAL, 0) == parts.referral
    assert booked[TransferKind.PLATFORM_SHARE] - booked.get(TransferKind.REFERRAL, 0) == parts.platform


def test_a_completed_session_pays_who_referred_its_customer(world: World) -> None:
    customer, mechanic, referrer = new_id(), world.mechanic(), world.mechanic()
    created = completed(world, customer, mechanic, referralCode=code_of(world, referrer))
    assert [settle(world.app, created.session_id) for _ in range(2)] == [True, False]
    assert rows(world, OWED) == [(mechanic.id, "session", 2099, "due"), (referrer.id, "referral", 60, "due")]
    assert balance(world, accounts.mechanic_payable(referrer.id)) == 60
    assert balance(world, accounts.PLATFORM_REVENUE) == 840
    (earning,) = earnings(world.app, referrer.user_id).earnings
    assert (earning.kind, earning.amount_cents, earning.status) == ("referral", 60, "pending")
    totals = earnings(world.app, referrer.user_id).totals
    assert (totals.session_cents, totals.referral_cents, totals.escalation_cents) == (0, 60, 0)
    assert referral_code(world.app, referrer.user_id).earned_cents == 60
    assert violations(world.owner) == []


def test_many_settle_at_once_and_it_is_paid_once(world: World) -> None:
    customer, mechanic, referrer = new_id(), world.mechanic(), world.mechanic()
    session_id = completed(world, customer, mechanic, referralCode=code_of(world, referrer)).session_id

    def attempt(_: int) -> bool:
        with world.elsewhere() as app:
            return settle(app, session_id)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]
    assert len(rows(world, OWED)) == 2
    assert violations(world.owner) == []


def test_the_next_sessions_pay_them_too_at_the_percentage_of_their_day(world: World) -> None:
    customer, mechanic, referrer = new_id(), world.mechanic(), world.mechanic()
    first = completed(world, customer, mechanic, referralCode=code_of(world, referrer))
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('referral_bp', '1000')")
    second = completed(world, customer, mechanic)
    for created in (first, second):
        settle(world.app, created.session_id)
    assert rows(world, "SELECT amount_cents FROM payouts WHERE kind = 'referral' ORDER BY id") == [(60,), (300,)]
    assert violations(world.owner) == []


def test_who_referred_them_and_takes_their_session_earns_both(world: World) -> None:
    customer, mechanic = new_id(), world.mechanic()
    settle(world.app, completed(world, customer, mechanic, referralCode=code_of(world, mechanic)).session_id)
    assert rows(world, OWED) == [(mechanic.id, "session", 2099, "due"), (mechanic.id, "referral", 60, "due")]
    assert violations(world.owner) == []


def test_what_was_not_completed_or_cost_nothing_pays_nobody(world: World) -> None:
    customer, mechanic, referrer = new_id(), world.mechanic(), world.mechanic()
    code = code_of(world, referrer)
    give(world, customer, 1)
    cancelled = buy(world, customer, referralCode=code)
    world.end(customer, cancelled.session_id)
    free = take_free(world, customer)
    world.sign(customer, free.session_id)
    complete(world, free, customer, mechanic)
    for created in (cancelled, free):
        settle(world.app, created.session_id)
    assert rows(world, OWED) == []
    assert violations(world.owner) == []


def test_the_code_of_an_intake_by_card_reaches_the_session_that_the_webhook_creates(checkout_env: CheckoutEnv) -> None:
    world = checkout_env.world
    customer, mechanic, referrer = new_id(), world.mechanic(), world.mechanic()
    opened = checkout_env.ask(customer, referralCode=code_of(world, referrer), waiver={"signedName": "Cora"})
    later = world.mechanic()
    world.owner.execute("UPDATE mechanics SET referral_code = new_referral_code() WHERE id = %s", [referrer.id])
    checkout_env.stripe.pay(checkout_env.page(opened))
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "fulfilled"
    created = checkout_env.session()
    assert created.session_id == opened.intake_id
    complete(world, created, customer, mechanic)
    settle(world.app, created.session_id)
    assert rows(world, OWED) == [(mechanic.id, "session", 699, "due"), (referrer.id, "referral", 20, "due")]
    assert code_of(world, later) != code_of(world, referrer)
    assert violations(world.owner) == []


@pytest.mark.parametrize("cents", [400, PRICE])
def test_a_refund_by_hand_leaves_the_referrer_what_they_earned(refund_env: RefundEnv, cents: int) -> None:
    """The platform bears it: the referrer did what they are paid for."""
    refund_env.onboard()
    code = code_of(refund_env.checkout_env.world, refund_env.mechanic)
    opened = refund_env.checkout_env.ask(new_id(), referralCode=code, waiver={"signedName": "Cora"})
    refund_env.checkout_env.stripe.pay(refund_env.checkout_env.page(opened))
    refund_env.tell()
    refund_env.complete(opened.intake_id)
    refund_env.refund(opened.intake_id, cents)
    refund_env.payouts()
    owed = "SELECT state, amount_cents, withheld_cents FROM payouts WHERE kind = 'referral'"
    assert rows(refund_env.checkout_env.world, owed) == [("sent", 20, 0)]
    refund_env.balanced()


# --- settings -------------------------------------------------------------------------------------------


def test_the_database_and_python_have_the_same_percentages(world: World) -> None:
    assert (world.one("SELECT referral_bp()"), world.one("SELECT escalation_bp()")) == (REFERRAL_BP, ESCALATION_BP)


@pytest.mark.parametrize("nonsense", ["10001", "-1", "2.5", "2 %", ""])
@pytest.mark.parametrize("key", ["referral_bp", "escalation_bp"])
def test_a_percentage_is_basis_points(world: World, key: str, nonsense: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute("INSERT INTO settings (key, value) VALUES (%s, %s)", [key, nonsense])
