"""A file's way over real HTTP: promised, uploaded to S3, scanned, read by those who may, and forgotten."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.account import Account, Caller, document
from support.files.uploads import (
    FOR_INTAKE,
    HARMFUL,
    PNG,
    File,
    checked,
    fetched,
    promised,
    read,
    state,
    uploaded,
)
from support.wait import wait_until

SWEEP = "ScansFunction"


def problem(caller: Caller, attachment_id: str, status: int) -> tuple[str, str]:
    """The type of the refusal to give the file, and the state that it names."""
    answer = document(caller.send("GET", f"/api/attachments/{attachment_id}"), status)
    return answer["type"], answer["attachmentState"]


def test_a_picture_goes_from_the_customer_to_the_mechanic(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    picture = uploaded(customer)
    assert checked(account, picture) == "clean"
    intake = account.queued(customer, attachmentIds=[picture])
    shown = {each["sessionId"]: each for each in mechanic.get("/api/mechanic/queue", limit="100")["assignments"]}
    assert shown[intake["sessionId"]]["pictureId"] == picture
    answer = read(mechanic, picture)
    assert (answer["name"], answer["contentType"], answer["bytes"]) == (File().name, "image/png", len(PNG))
    assert answer["expiresIn"] == 60
    got = fetched(answer["url"])
    assert (got.status_code, got.content, got.headers["Content-Type"]) == (200, PNG, "image/png")
    assert (got.headers["Content-Disposition"], got.headers["Cache-Control"]) == ("inline", "private, no-store")


def test_a_file_is_read_by_nobody_before_it_is_clean(account: Account) -> None:
    customer = account.customer()
    promise = promised(customer)
    assert problem(customer, promise.attachment_id, 409) == ("/problems/attachment-not-ready", "promised")
    account.cloud.scanner.hold()
    try:
        assert promise.post(PNG).status_code == 204
        wait_until(lambda: state(account, promise.attachment_id) == "scanning")
        assert problem(customer, promise.attachment_id, 409) == ("/problems/attachment-not-ready", "scanning")
    finally:
        account.cloud.scanner.release()
    assert checked(account, promise.attachment_id) == "clean"
    assert fetched(read(customer, promise.attachment_id)["url"]).content == PNG


@pytest.mark.parametrize("content", [HARMFUL, b"%PDF-1.7\n/Encrypt 7 0 R"], ids=["malware", "cannot be scanned"])
def test_what_the_scan_does_not_pass_is_refused_and_deleted(account: Account, content: bytes) -> None:
    customer = account.customer()
    document_id = uploaded(customer, File(content, "application/pdf"))
    assert checked(account, document_id) == "refused"
    assert problem(customer, document_id, 410) == ("/problems/attachment-gone", "refused")
    key = account.world.one("SELECT object_key FROM attachments WHERE id = %s", document_id)
    assert stored(account, key)
    assert swept(account)["removed"] >= 1
    assert not stored(account, key)


def test_a_document_is_saved_and_not_shown(account: Account) -> None:
    customer = account.customer()
    document_id = uploaded(customer, File(b"%PDF-1.7 an invoice", "application/pdf"))
    checked(account, document_id)
    assert fetched(read(customer, document_id)["url"]).headers["Content-Disposition"] == "attachment"


def test_parties_send_files_in_the_room(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    path = f"{account.live(customer, mechanic)}/attachments"
    for sender, reader in ((customer, mechanic), (mechanic, customer)):
        file = uploaded(sender, path=path)
        assert checked(account, file) == "clean"
        assert fetched(read(reader, file)["url"]).content == PNG


def test_an_intake_takes_files_in_their_order_and_shows_the_first_picture(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    paper = uploaded(customer, File(b"%PDF-1.7 an invoice", "application/pdf"))
    pictures = [uploaded(customer, File(PNG + name)) for name in (b"1", b"2")]
    intake = account.queued(customer, attachmentIds=[paper, pictures[1], pictures[0]])
    shown = {each["sessionId"]: each for each in mechanic.get("/api/mechanic/queue", limit="100")["assignments"]}
    assert shown[intake["sessionId"]]["pictureId"] == pictures[1]
    assert checked(account, pictures[1]) == "clean"
    for hidden in (paper, pictures[0]):  # only the first picture goes with the request
        assert mechanic.send("GET", f"/api/attachments/{hidden}").status_code == 404
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    checked(account, paper)
    assert read(mechanic, paper)["contentType"] == "application/pdf"


def test_a_refused_picture_gives_its_place_to_the_next(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    account.cloud.scanner.hold()  # an intake would not take what is refused already
    try:
        harmful, second = uploaded(customer, File(PNG + HARMFUL)), uploaded(customer)
        intake = account.queued(customer, attachmentIds=[harmful, second])
    finally:
        account.cloud.scanner.release()
    assert checked(account, harmful) == "refused"
    shown = {each["sessionId"]: each for each in mechanic.get("/api/mechanic/queue", limit="100")["assignments"]}
    assert shown[intake["sessionId"]]["pictureId"] == second


def test_an_intake_names_only_files_of_its_own_customer_and_none_twice(account: Account) -> None:
    customer, other = account.customer(), account.customer()
    others = uploaded(other)
    used = uploaded(customer)
    account.queued(customer, attachmentIds=[used])
    stranger = account.customer()
    for ids, pointer in (
        ([others], "/attachmentIds/0"),
        ([uploaded(stranger), used], "/attachmentIds/1"),
        ([used, used], "/attachmentIds"),
        ([uploaded(stranger) for _ in range(5)], "/attachmentIds"),
    ):
        answer = stranger.send("POST", "/api/intake/start", {**INTAKE_WITH_WAIVER, "attachmentIds": ids})
        assert [each["pointer"] for each in document(answer, 422)["errors"]] == [pointer]


def test_the_same_intake_again_gives_the_first_answer_with_its_files(account: Account) -> None:
    customer = account.customer()
    body = {**INTAKE_WITH_WAIVER, "attachmentIds": [uploaded(customer)]}
    answers = [customer.send("POST", "/api/intake/start", body, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert {each.status_code for each in answers} == {201}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": " "}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"contentType": "image/svg+xml"}, "/contentType"),
        ({"contentType": "text/html"}, "/contentType"),
        ({"bytes": 0}, "/bytes"),
        ({"bytes": 20 * 1024 * 1024 + 1}, "/bytes"),
        ({"sha256": "0" * 63}, "/sha256"),
        ({"sha256": "g" * 64}, "/sha256"),
    ],
)
def test_a_promise_of_something_else_is_refused(account: Account, change: dict[str, object], pointer: str) -> None:
    answer = account.customer().send("POST", FOR_INTAKE, {**File().promise, **change})
    assert [each["pointer"] for each in document(answer, 422)["errors"]] == [pointer]


def test_a_user_promises_only_so_many_files(account: Account) -> None:
    customer = account.customer()
    account.sql("UPDATE limits SET most = 2 WHERE name = 'uploads'")
    try:
        for _ in range(2):
            promised(customer)
        answer = customer.send("POST", FOR_INTAKE, File().promise)
    finally:
        account.sql("UPDATE limits SET most = 60 WHERE name = 'uploads'")
    assert (answer.json()["type"], answer.json()["limit"]) == ("/problems/too-many-requests", "uploads")
    assert answer.status_code == 429


def test_nothing_is_sent_into_a_room_that_is_closed(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = account.live(customer, mechanic)
    customer.post(f"{session}/end")
    answer = customer.send("POST", f"{session}/attachments", File().promise)
    assert document(answer, 409)["type"] == "/problems/session-ended"
    later = account.customer()
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    scheduled = account.queued(later, scheduledFor=soon)["sessionId"]
    answer = later.send("POST", f"/api/sessions/{scheduled}/attachments", File().promise)
    assert document(answer, 409)["type"] == "/problems/session-not-open"


def test_an_upload_that_never_comes_is_given_up(account: Account) -> None:
    customer = account.customer()
    promise = promised(customer)
    account.sql("UPDATE attachments SET state = 'promised' WHERE id = %s", promise.attachment_id)
    account.world.let_time_pass(24 * 60)  # ten minutes for the form, fifteen more for its news
    swept(account)
    assert state(account, promise.attachment_id) == "promised"
    account.world.let_time_pass(2 * 60)
    swept(account)
    assert problem(customer, promise.attachment_id, 410) == ("/problems/attachment-gone", "gone")


def test_files_go_when_their_time_is_over_and_so_do_their_names(account: Account) -> None:
    customer, mechanic = account.customer(), account.mechanic()
    session = account.live(customer, mechanic)
    file = uploaded(customer, path=f"{session}/attachments")
    checked(account, file)
    customer.post(f"{session}/end")
    account.world.let_time_pass(89 * 86_400)
    swept(account)
    assert state(account, file) == "clean"
    account.world.let_time_pass(2 * 86_400)
    swept(account)
    assert state(account, file) == "gone"
    key = account.world.one("SELECT object_key FROM attachments WHERE id = %s", file)
    assert not stored(account, key)
    assert account.world.one("SELECT name FROM attachments WHERE id = %s", file) == "[gone]"


def test_a_file_that_no_intake_names_is_kept_for_a_day(account: Account) -> None:
    file = uploaded(account.customer())
    checked(account, file)
    account.world.let_time_pass(23 * 3_600)
    swept(account)
    assert state(account, file) == "clean"
    account.world.let_time_pass(2 * 3_600)
    swept(account)
    assert state(account, file) == "gone"


def test_what_is_uploaded_after_it_was_given_up_is_deleted_again(account: Account) -> None:
    promise = promised(account.customer())
    account.sql("UPDATE attachments SET state = 'gone' WHERE id = %s", promise.attachment_id)
    swept(account)
    assert promise.post(PNG).status_code == 204
    key = promise.fields["key"]
    wait_until(lambda: bool(swept(account)["removed"]))
    assert not stored(account, key)


def test_no_name_of_a_file_is_in_a_log_an_event_or_a_trace(account: Account) -> None:
    customer = account.customer()
    name = "Licence plate of Cora Castillo.png"
    checked(account, uploaded(customer, File(name=name)))
    written = "\n".join(map(str, account.lines))
    assert "Licence plate" not in written
    queued = (account.data_dir / "messages.sqlite").read_bytes()
    assert b"Licence plate" not in queued
    assert "guardduty scanned a file: NO_THREATS_FOUND" in written


def stored(account: Account, key: str) -> bool:
    """Whether the bucket has the object."""
    return any(key.rpartition("/")[2] in file.name for file in (account.data_dir / "files").rglob("*"))


def swept(account: Account) -> dict[str, int]:
    """Run the sweep once; returns its counts."""
    result = account.cloud.invoke(SWEEP, {})
    assert result.error is None, json.dumps(result.payload)
    assert isinstance(result.payload, dict)
    return result.payload
