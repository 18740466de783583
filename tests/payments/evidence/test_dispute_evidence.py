"""Evidence of a dispute: made of the record, staged at Stripe, and sent once, when somebody said so."""

from typing import LiteralString

import psycopg
import pytest

from autodoctor.contests.cases import cases
from autodoctor.db import Database, Refused
from autodoctor.disputes.discretion import discreet
from autodoctor.ids import new_id
from autodoctor.operations.privacy import erase_customer, export_customer
from autodoctor.payments.stripe.lease import BACK_OFF, Sent, unsent
from support.money.disputed import at_stripe, evidence, held, settings, sweep
from support.money.extensions import answer, ask
from support.money.purchases import buy, complete
from support.money.refund_env import RefundEnv


def test_a_dispute_is_answered_from_the_record_and_not_sent(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.dispute(held(refund_env, "Call me: +1 415 555 0100 or cora@example.com"))
    assert sweep(refund_env) == Sent(sent=1)
    dispute, row = at_stripe(refund_env), evidence(refund_env)
    assert (row["state"], row["gaps"], row["proves"], row["due_by"] is not None) == ("staged", [], True, True)
    assert (dispute["status"], dispute["evidence_details"]["submission_count"]) == ("needs_response", 0)
    texts = {name: text for name, text in dispute["evidence"].items() if not text.startswith("file_")}
    assert texts == row["texts"]
    assert texts["customer_name"] == "Cora Castillo"
    assert "the customer was connected to the consultation's room (seen by the server)" in texts["access_activity_log"]
    assert "together for at least 1 minute; otherwise" in texts["refund_policy_disclosure"]
    files = {name for name, text in dispute["evidence"].items() if text.startswith("file_")}
    assert files == {"receipt", "customer_communication", "customer_signature"}
    name = world.one("SELECT name FROM mechanics WHERE id = %s", refund_env.mechanic.id)
    assert name not in str(texts)
    assert {refund_env.checkout_env.stripe.file(dispute["evidence"][each])[:5] for each in files} == {b"%PDF-"}
    assert sweep(refund_env) == Sent()  # nothing more to do, and nobody sends it


def test_words_keep_nobodys_name_address_or_number() -> None:
    said = "Ask Mia or MORENO, mia@cars.example, +1 (415) 555-0100, www.cars.example/mia. Torque is 110 Nm, 2019 model."
    left = "[left out]"
    assert discreet(said, "Mia Moreno") == (
        f"Ask the mechanic or the mechanic, {left} {left}, {left} Torque is 110 Nm, 2019 model."
    )


def test_letters_that_no_pdf_of_ours_has_stand_in_the_text(refund_env: RefundEnv) -> None:
    refund_env.dispute(held(refund_env, "Какие колодки?"))
    sweep(refund_env)
    assert evidence(refund_env)["gaps"] == ["other_letters"]
    assert "customer: Какие колодки?" in at_stripe(refund_env)["evidence"]["uncategorized_text"]


def test_a_session_that_never_was_proves_nothing(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.dispute(refund_env.cancelled())
    settings(world, "send_dispute_evidence", "on")
    sweep(refund_env)
    row = evidence(refund_env)
    assert (row["proves"], row["gaps"]) == (False, ["not_provided", "no_transcript"])
    assert "did not take place (withdrawn)" in row["texts"]["uncategorized_text"]
    world.owner.execute("UPDATE dispute_evidence SET due_by = clock_timestamp()")
    sweep(refund_env)
    assert evidence(refund_env)["state"] == "staged"


def test_a_pack_shows_what_its_credits_were_spent_on(refund_env: RefundEnv) -> None:
    world, customer = refund_env.checkout_env.world, new_id()
    intent = refund_env.pack(customer)
    complete(world, buy(world, customer), customer, refund_env.mechanic)
    refund_env.checkout_env.stripe.open_dispute(intent)
    refund_env.tell()
    sweep(refund_env)
    row = evidence(refund_env)
    assert (row["state"], row["gaps"], row["proves"]) == ("staged", ["no_signature"], True)
    assert "the customer spent 1 credit on a consultation, which ended at" in row["texts"]["access_activity_log"]
    assert "consultations for 1 credit." in row["texts"]["uncategorized_text"]


def test_more_minutes_are_answered_by_the_talk_that_they_were_of(refund_env: RefundEnv) -> None:
    world, session_id = refund_env.checkout_env.world, refund_env.buy()
    customer = refund_env.customer(session_id)
    world.accept(refund_env.mechanic, refund_env.checkout_env.session())
    world.meet(session_id, customer, refund_env.mechanic)
    answer(world, refund_env.mechanic, ask(world, customer, session_id, pay_with="card"))
    extension = ask(world, customer, session_id, pay_with="card").extension_id
    query = "SELECT stripe_session_id FROM checkouts WHERE intake_id = %s"
    refund_env.checkout_env.stripe.pay(world.one(query, extension))
    refund_env.tell()
    refund_env.dispute(extension)
    sweep(refund_env)
    row = evidence(refund_env)
    assert (row["proves"], "not_provided" in row["gaps"], "no_session" in row["gaps"]) == (False, True, False)
    assert "the consultation was extended by 15 more minutes" in row["texts"]["access_activity_log"]
    assert row["texts"]["product_description"].startswith("15 more minutes of an online consultation")
    (case,) = cases(world.app, {}).cases
    assert case.session_id == session_id


def test_with_the_setting_it_goes_a_day_before_its_time_once(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.dispute(held(refund_env))
    settings(world, "send_dispute_evidence", "on")
    sweep(refund_env)
    assert evidence(refund_env)["state"] == "staged"
    world.owner.execute("UPDATE dispute_evidence SET due_by = due_by - interval '6 days 1 minute'")
    assert sweep(refund_env) == Sent(sent=1)
    row, dispute = evidence(refund_env), at_stripe(refund_env)
    assert (row["state"], row["sent_by"], row["submission_count"]) == ("sent", None, 1)
    assert (dispute["status"], dispute["evidence_details"]["submission_count"]) == ("under_review", 1)
    refund_env.tell()
    assert (sweep(refund_env), evidence(refund_env)["state"]) == (Sent(), "sent")


@pytest.mark.parametrize("mode", ["cut_after", "error_after"])
def test_an_answer_that_was_lost_is_looked_up(refund_env: RefundEnv, mode: str) -> None:
    world = refund_env.checkout_env.world
    refund_env.retries = 0
    dispute = refund_env.dispute(held(refund_env))
    settings(world, "send_dispute_evidence", "on")
    sweep(refund_env)
    world.owner.execute("UPDATE dispute_evidence SET due_by = clock_timestamp()")
    refund_env.checkout_env.stripe.fail(mode=mode, method="POST", path=f"/v1/disputes/{dispute}")
    assert sweep(refund_env) == Sent(waiting=1)
    refund_env.later()
    assert sweep(refund_env) == Sent(sent=1)
    assert (evidence(refund_env)["state"], at_stripe(refund_env)["evidence_details"]["submission_count"]) == ("sent", 1)


def test_what_stripe_refuses_is_given_up_and_alarmed_and_closed_with_the_dispute(refund_env: RefundEnv) -> None:
    refund_env.retries = 0
    dispute = refund_env.dispute(held(refund_env))
    refund_env.checkout_env.stripe.fail(mode="error", method="POST", path="/v1/files", times=None)
    for _attempt in range(len(BACK_OFF) + 1):
        sweep(refund_env)
        refund_env.later()
    app = refund_env.checkout_env.world.app
    assert (evidence(refund_env)["state"], unsent(app).failed, unsent(app).age_seconds) == ("failed", 1, 0)
    refund_env.decide(dispute, won=False)
    sweep(refund_env)
    row = evidence(refund_env)
    assert (row["state"], row["closed_because"], unsent(app).failed) == ("closed", "over", 0)


def test_an_answer_by_hand_closes_ours(refund_env: RefundEnv) -> None:
    dispute = refund_env.dispute(held(refund_env))
    sweep(refund_env)
    refund_env.client.v1.disputes.update(dispute, params={"submit": True})
    refund_env.tell()
    sweep(refund_env)
    assert evidence(refund_env)["closed_because"] == "elsewhere"


def test_an_erasure_takes_it_back_and_says_so(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = held(refund_env)
    refund_env.dispute(session_id)
    sweep(refund_env)
    owner = Database(lambda: world.urls.owner_url)
    (exported,) = export_customer(owner, refund_env.customer(session_id))["disputes"]
    assert (exported["texts"]["customer_name"], exported["documents"][-1]) == ("Cora Castillo", "receipt")
    erase_customer(owner, refund_env.customer(session_id), "ada")
    owner.close()
    assert evidence(refund_env)["texts"] == {}
    assert world.one("SELECT count(*) FROM dispute_documents") == 0
    sweep(refund_env)
    row, dispute = evidence(refund_env), at_stripe(refund_env)
    assert (row["state"], row["gaps"], row["version"]) == ("staged", ["erased", "no_transcript"], 2)
    assert "the customer had their personal data erased" in dispute["evidence"]["uncategorized_text"]
    assert not {"customer_name", "customer_email_address", "customer_signature"} & set(dispute["evidence"])


def test_what_is_over_is_forgotten(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.decide(refund_env.dispute(held(refund_env)), won=False)
    assert world.one("SELECT count(*) FROM dispute_evidence") == 0  # answered to nobody
    refund_env.dispute(held(refund_env))
    sweep(refund_env)
    refund_env.decide(at_stripe_open(refund_env), won=True)
    sweep(refund_env)
    world.owner.execute("UPDATE stripe_disputes SET updated_at = updated_at - interval '91 days'")
    sweep(refund_env)
    assert (evidence(refund_env)["texts"], world.one("SELECT count(*) FROM dispute_documents")) == ({}, 0)


def at_stripe_open(env: RefundEnv) -> str:
    return next(str(each["id"]) for each in env.checkout_env.stripe.objects("dispute") if each["status"] != "lost")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("sends = true, sent_by = new_id()", "AD004"),
        ("sends = true", "AD004"),
        ('texts = \'{"uncategorized_text": "other"}\', version = version + 1', "AD004"),
        ('texts = \'{"opinion": ""}\', version = version + 1, change_id = new_id(), changed_by = new_id()', "23514"),
    ],
)
def test_nobody_sends_or_writes_what_no_admin_did(refund_env: RefundEnv, change: LiteralString, code: str) -> None:
    refund_env.dispute(held(refund_env))
    sweep(refund_env)
    with pytest.raises(psycopg.Error) as refused:
        refund_env.checkout_env.world.owner.execute("UPDATE dispute_evidence SET " + change)
    assert refused.value.sqlstate == code


def test_the_application_empties_nothing_that_is_not_over(refund_env: RefundEnv) -> None:
    refund_env.dispute(held(refund_env))
    sweep(refund_env)
    with pytest.raises(Refused, match="AD004"):
        refund_env.checkout_env.world.app.execute("UPDATE dispute_evidence SET texts = '{}'", ())
    assert evidence(refund_env)["texts"] != {}
