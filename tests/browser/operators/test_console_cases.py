"""A customer contests a session, its mechanic answers, an admin reads both beside the talk and decides."""

import re
from uuid import UUID

import pytest
from playwright.sync_api import expect

from autodoctor.payments.settlement import settle
from localcloud.identity.roster import ROSTER
from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, signed_in
from support.browser.window import Camera, Windows
from support.money.extensions import extended
from support.money.purchases import buy, give
from support.world import Mechanic, World

CORA, MIA = (next(each for each in ROSTER if each.key == key) for key in ("customer1", "mechanic1"))


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def talked(account: Account, *, more: bool = False) -> UUID:
    """A session of the roster's people, paid with credits, with `more` minutes or none, completed and settled."""
    world, customer = account.world, CORA.sub
    assert MIA.row_id is not None
    mechanic = Mechanic(MIA.row_id, MIA.sub)
    give(world, customer, 4)
    created = buy(world, customer, "standard", concern="It squeals when I brake.")
    world.accept(mechanic, created)
    world.meet(created.session_id, customer, mechanic)
    if more:
        extended(world, customer, mechanic, created.session_id)
        world.let_time_pass(60 * world.one("SELECT included_minutes FROM plans WHERE code = 'standard'"))
    world.let_time_pass(90)
    world.end(customer, created.session_id)
    settle(world.app, created.session_id)
    return created.session_id


def test_a_contest_from_both_sides_and_its_decision(account: Account, windows: Windows, camera: Camera) -> None:
    session = talked(account, more=True)
    customer = signed_in(account, windows.open(phone=True), CORA.name)
    customer.goto(f"{account.cloud.api_url}/console/video/{session}")
    customer.get_by_text("Something was wrong with it").click()
    customer.get_by_role("button", name="Contest this session").click()
    expect(customer.get_by_label("What was wrong?")).to_be_focused()
    customer.get_by_label("What was wrong?").select_option("It did not help")
    customer.get_by_label("Tell us more").fill("It squeals as before.")
    camera.take(customer, "contesting")
    customer.get_by_role("button", name="Contest this session").click()
    expect(customer.get_by_role("heading", name="You contest this session")).to_be_visible()

    mechanic = signed_in(account, windows.open(), MIA.name)
    mechanic.goto(f"{account.cloud.api_url}/console/video/{session}")
    expect(mechanic.get_by_text("It squeals as before.")).to_be_visible()
    mechanic.get_by_label("Your side of it, once").fill("I told you to change the pads.")
    camera.take(mechanic, "answering")
    mechanic.get_by_role("button", name="Send my answer").click()
    expect(mechanic.get_by_role("heading", name="Your answer")).to_be_visible()

    admin = signed_in(account, windows.open(), "Ada Adler")
    admin.get_by_role("link", name="Cases").click()
    expect(admin.get_by_role("cell", name="Contested answered")).to_be_visible()
    camera.take(admin, "what waits")
    admin.locator("td a").first.click()
    expect(admin.get_by_role("heading", name="Transcript")).to_be_visible()
    expect(admin.get_by_text("I told you to change the pads.")).to_be_visible()
    admin.get_by_label("Decision").select_option("Part of it goes back")
    expect(admin.get_by_text("Of 4 credits.")).to_be_visible()
    admin.get_by_label("Credits that go back").fill("2")
    admin.get_by_label("The reason, which both read").fill("The talk was cut short.")
    camera.take(admin, "deciding")
    admin.get_by_role("button", name="Decide").click()
    admin.get_by_role("dialog").get_by_role("button", name="Decide").click()
    expect(admin.get_by_role("heading", name=re.compile("Decided .*: part"))).to_be_visible()
    contest = admin.get_by_role("region", name="Contest")
    expect(contest.get_by_role("definition")).to_have_text(["1 credit", "1 credit"])
    camera.take(admin, "decided")
    customer.reload()
    expect(customer.get_by_text("You get 2 credits back of what you paid.")).to_be_visible()
    camera.take(customer, "told")


def test_a_held_session_is_decided_on_the_same_page(account: Account, windows: Windows, camera: Camera) -> None:
    world, session = account.world, talked(account)
    with world.without_triggers() as superuser:
        superuser.execute("DELETE FROM payouts WHERE session_id = %s", [session])
        superuser.execute("DELETE FROM ledger_transfer WHERE intake_id = %s AND kind <> 'credit_hold'", [session])
        superuser.execute("DELETE FROM settlements WHERE session_id = %s", [session])
        superuser.execute(
            "INSERT INTO settlement_holds (session_id, demanded, facts) VALUES (%s, 'cancelled',"
            ' \'{"status": "completed", "reason": "billable", "togetherSeconds": 90, "demandedReason": "too_short",'
            ' "demandedTogetherSeconds": 1}\')',
            [session],
        )
    admin = signed_in(account, windows.open(dark=True), "Ada Adler")
    admin.goto(f"{account.cloud.api_url}/console/admin.html#case?id={session}")
    admin.reload()
    expect(admin.get_by_role("heading", name="Evidence that came late")).to_be_visible()
    camera.take(admin, "held")
    admin.get_by_role("button", name="Give it back").click()
    admin.get_by_label("The reason, for whoever asks later").fill("The socket was silent.")
    admin.get_by_role("dialog").get_by_role("button", name="Decide").click()
    expect(admin.get_by_role("heading", name=re.compile("Decided .*: refund"))).to_be_visible()


def disputed(world: World) -> UUID:
    """A dispute about a pack of credits whose answer is ready to be sent; gives the answer."""
    checkout = (
        "SELECT new_id(), 'pack', %s, code, credits, name, 4500, 'usd', 'k', 'cs', 'pi', 'paid' FROM credit_packs"
    )
    world.owner.execute(
        "INSERT INTO checkouts (id, kind, user_id, pack_code, credits, title, amount_cents, currency, idempotency_key,"
        " stripe_session_id, stripe_payment_intent_id, status) " + checkout + " LIMIT 1",
        [CORA.sub],
    )
    world.owner.execute(
        "INSERT INTO stripe_disputes (id, payment_intent_id, amount_cents, status)"
        " VALUES ('du_1', 'pi', 4500, 'needs_response')"
    )
    with world.without_triggers() as superuser:
        superuser.execute(
            "INSERT INTO dispute_evidence (dispute_id, checkout_id, state, next_attempt_at, due_by, prepared_at, texts,"
            " gaps, proves, version, staged_version)"
            " SELECT 'du_1', id, 'staged', NULL, now() + interval '7 days', now(),"
            " '{\"uncategorized_text\": \"Bought today.\"}', '{no_signature}', true, 1, 1"
            " FROM checkouts WHERE stripe_payment_intent_id = 'pi'"
        )
        superuser.execute(
            "INSERT INTO dispute_documents SELECT id, 'receipt', '%%PDF-', 'file_1' FROM dispute_evidence"
        )
    evidence_id: UUID = world.one("SELECT id FROM dispute_evidence")
    return evidence_id


def test_a_dispute_is_read_edited_and_sent(account: Account, windows: Windows, camera: Camera) -> None:
    disputed(world := account.world)
    admin = signed_in(account, windows.open(), "Ada Adler")
    admin.get_by_role("link", name="Cases").click()
    admin.get_by_role("row", name="Disputed at the bank ready to send").get_by_role("link").click()
    expect(admin.get_by_text("There is no signature")).to_be_visible()
    with admin.expect_download() as document:
        admin.get_by_role("button", name="Download: Receipt").click()
    assert document.value.suggested_filename == "receipt.pdf"
    admin.get_by_label("Anything else").fill("They used every credit.")
    camera.take(admin, "answering a dispute")
    admin.get_by_role("button", name="Send to the bank").click()
    admin.get_by_role("dialog").get_by_role("button", name="Send it").click()
    expect(admin.get_by_text("is being prepared")).to_be_visible()
    sent = world.owner.execute("SELECT sends, texts FROM dispute_evidence").fetchone()
    assert sent == {"sends": True, "texts": {"uncategorized_text": "They used every credit."}}
