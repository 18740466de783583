"""From an HTTP call to the mail on the page: bus, rule, queue, function and SES of the running account."""

import json
from uuid import UUID

import httpx
import pytest

from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.account import Account
from support.events.pipeline import waiting_messages
from support.events.sent_mails import eventually, kinds_to, mails_to
from support.wait import wait_until


def states(account: Account, user_id: UUID, count: int) -> list[tuple[str, str, str | None]]:
    """Kind, state and error of a user's settled mails, once there are so many."""

    def look() -> list[tuple[str, str, str | None]]:
        rows = account.world.owner.execute(
            "SELECT kind, state, error FROM mail_deliveries WHERE user_id = %s AND state <> 'claimed'"
            " ORDER BY settled_at",
            [user_id],
        )
        return [(row["kind"], row["state"], row["error"]) for row in rows]

    return eventually(look, lambda found: len(found) >= count)


def test_a_customer_is_mailed_at_each_step_and_finds_it_in_the_application(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    address = f"{new_id()}@example.com"
    intake = account.queued(customer, email=address)
    assert kinds_to(account, address, 1) == ["request_received"]
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    assert kinds_to(account, address, 2) == ["request_received", "mechanic_assigned"]
    customer.post(f"/api/sessions/{intake['sessionId']}/end")
    assert kinds_to(account, address, 3)[2] == "session_cancelled"
    page = customer.get("/api/notifications")
    told = [entry["kind"] for entry in page["notifications"]]
    assert told == ["session_cancelled", "mechanic_assigned", "request_received"]
    assert page["unreadCount"] == 3
    first = page["notifications"][0]["notificationId"]
    customer.post(f"/api/notifications/{first}/read")
    assert customer.post("/api/notifications/read-all") == {"marked": 2}
    assert mechanic.send("POST", f"/api/notifications/{first}/read").status_code == 404


def test_a_language_chosen_over_http_is_that_of_the_mail(account: Account) -> None:
    customer = account.customer()
    chosen = customer.send("PUT", "/api/notifications/preferences", {"locale": "es"})
    assert (chosen.status_code, chosen.json()["locale"]) == (200, "es")
    address = f"{new_id()}@example.com"
    account.queued(customer, email=address)
    assert kinds_to(account, address, 1) == ["request_received"]
    assert mails_to(account, address)[0]["subject"] == "Hemos recibido su solicitud"


def test_a_mechanic_is_mailed_about_a_payout_on_the_bus(account: Account) -> None:
    """The money part does not exist yet: the event goes into the outbox by hand, and the relay publishes it."""
    mechanic = account.world.mechanic()
    address = f"{new_id()}@example.com"
    account.sql("UPDATE mechanics SET email = %s WHERE id = %s", address, mechanic.id)
    session_id = account.queued(account.customer())["sessionId"]
    account.sql("UPDATE sessions SET status = 'cancelled' WHERE id = %s", session_id)
    facts = {
        "sessionId": session_id,
        "payoutId": str(new_id()),
        "mechanicId": str(mechanic.id),
        "amountCents": 2099,
        "currency": "usd",
    }
    for event_type in ("payout.failed", "payout.sent"):
        account.sql("SELECT emit_event(%s, %s::jsonb, %s)", event_type, json.dumps(facts), facts["payoutId"])
    # older than what the relay leaves to whoever wrote it
    account.sql("UPDATE outbox SET payload = payload || %s::jsonb", '{"occurredAt": "2026-01-01T00:00:00Z"}')
    assert account.cloud.invoke("RelayFunction", {}).error is None
    assert sorted(kinds_to(account, address, 2)) == ["payout_failed", "payout_sent"]
    told = account.caller("mechanics", mechanic.user_id).get("/api/notifications")["notifications"]
    assert {entry["title"] for entry in told} == {"Payout sent", "Payout failed"}


@pytest.mark.parametrize(("scenario", "reason"), [("bounce", "bounce"), ("complaint", "complaint")])
def test_a_bounce_or_complaint_stops_further_mail(account: Account, scenario: str, reason: str) -> None:
    customer = account.customer()
    address = f"{scenario}+{new_id()}@simulator.amazonses.com"
    intake = account.queued(customer, email=address)
    assert kinds_to(account, address, 1) == ["request_received"]

    def suppressed() -> object:
        return account.world.one("SELECT reason FROM mail_suppressions WHERE address_hash = address_hash(%s)", address)

    assert eventually(suppressed, bool) == reason
    customer.post(f"/api/sessions/{intake['sessionId']}/end")
    assert states(account, customer.user_id, 2) == [
        ("request_received", "sent", None),
        ("session_cancelled", "suppressed", reason),
    ]
    assert len(mails_to(account, address)) == 1


def test_a_transient_bounce_stops_nothing(account: Account) -> None:
    customer = account.customer()
    address = f"ooto+{new_id()}@simulator.amazonses.com"
    intake = account.queued(customer, email=address)
    assert kinds_to(account, address, 1) == ["request_received"]
    customer.post(f"/api/sessions/{intake['sessionId']}/end")
    assert kinds_to(account, address, 2) == ["request_received", "session_cancelled"]


def test_the_page_shows_a_mail_and_lets_nothing_in_it_run(account: Account) -> None:
    customer = account.customer()
    address = f"{new_id()}@example.com"
    account.queued(customer, email=address, concern="<script>alert(1)</script> squeals")
    kinds_to(account, address, 1)
    (mail,) = mails_to(account, address)
    listed = account.http.get("/_dev/mail")
    assert address in listed.text
    one = account.http.get(f"/_dev/mail/{mail['message_id']}")
    html = account.http.get(f"/_dev/mail/{mail['message_id']}/html")
    for answer in (listed, one, html):
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "<iframe sandbox " in one.text
    assert html.headers["Content-Security-Policy"].startswith("sandbox;")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; squeals" in html.text
    assert account.http.get("/_dev/mail/unknown").status_code == 404


def on_their_way(account: Account) -> list[str]:
    """The places where mails, or the events that they come from, wait."""
    return [place for place in waiting_messages(account.data_dir) if place.startswith(("bus", "NotifyQueue"))]


def test_three_shuffled_deliveries_of_everything_are_one_mail_each(account: Account) -> None:
    faults = account.cloud.bus_faults
    faults.copies, faults.spread_seconds = 3, 1.0
    try:
        customer, mechanic = account.customer(), account.mechanic()
        address = f"{new_id()}@example.com"
        intake = account.queued(customer, email=address)
        mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
        customer.post(f"/api/sessions/{intake['sessionId']}/end")
        settled = states(account, customer.user_id, 3)
        wait_until(lambda: not on_their_way(account))  # the last copies
    finally:
        faults.copies, faults.spread_seconds = 1, 0.0
    assert {kind for kind, _, _ in settled} == {"request_received", "mechanic_assigned", "session_cancelled"}
    assert ("session_cancelled", "sent", None) in settled
    mailed = [mail["kind"] for mail in mails_to(account, address)]
    assert sorted(mailed) == sorted(kind for kind, state, _ in settled if state == "sent")
    told = customer.get("/api/notifications")["notifications"]
    assert [entry["kind"] for entry in told] == ["session_cancelled", "mechanic_assigned", "request_received"]


def test_mails_outlive_the_process_that_took_them(account: Account, tmp_path_factory: pytest.TempPathFactory) -> None:
    shown = {mail["message_id"] for mail in account.http.get("/_dev/mail.json").json()["mails"]}
    files = tmp_path_factory.getbasetemp().glob("*/mail.jsonl")  # other accounts of this run have theirs beside it
    kept = [{json.loads(line)["message_id"] for line in file.read_text().splitlines()} for file in files]
    assert shown
    assert any(shown <= each for each in kept)


def test_no_address_stands_in_any_line_that_was_logged(account: Account) -> None:
    address = f"quiet-{new_id()}@example.com"
    account.queued(account.customer(), email=address)
    kinds_to(account, address, 1)
    assert "quiet-" not in " ".join(map(str, account.lines))


def test_an_unknown_sender_is_refused_by_ses_as_by_amazon_s(account: Account) -> None:
    body = {
        "FromEmailAddress": "eve@elsewhere.example",
        "Destination": {"ToAddresses": ["cora@example.com"]},
        "Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
    }
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/eu-central-1/ses/aws4_request"}
    url = f"{account.cloud.api_url}/_aws/email/v2/email/outbound-emails"
    assert httpx.post(url, json=body, headers=signed, trust_env=False).status_code == 400


def test_an_address_that_anybody_typed_gets_a_link_that_its_owner_says_yes_to(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    address = f"{new_id()}@example.com"
    body = {**INTAKE_WITH_WAIVER, "email": address, "concern": "Read https://evil.example"}
    intake = customer.post("/api/intake/start", body, 201)
    assert kinds_to(account, address, 1) == ["confirm_address"]
    [mail] = mails_to(account, address)
    assert "evil" not in mail["text"]
    token = mail["text"].partition("?token=")[2].split()[0]
    assert account.customer().send("POST", "/api/notifications/confirm-address", {"token": token}).status_code == 404
    assert customer.post("/api/notifications/confirm-address", {"token": token}) == {"confirmed": True}
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    assert kinds_to(account, address, 2) == ["confirm_address", "mechanic_assigned"]
