"""An old database as broken as they come moves in: what becomes of each kind of row, once, and nothing is lost."""

from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from autodoctor.db import Database
from autodoctor.legacy.run import ImportGoingOn
from autodoctor.legacy.source import NoOldSystem
from autodoctor.operations.privacy import erase_customer, export_customer
from autodoctor.sessions.active import Role, history
from integration.actors import Mechanic, Stage
from journey.account import running_account
from legacy.moving import Moving, counts
from legacy.old_system import OldSystem, broken


def test_a_dry_run_writes_nothing_and_says_what_applying_does(moving: Moving, old: OldSystem) -> None:
    broken(old)
    before = moving.everything()
    told = moving.run(apply=False)
    assert moving.everything() == before
    assert moving.stage.one("SELECT count(*) FROM legacy_imports") == 0
    done = moving.run()
    assert done.model_dump(exclude={"applied"}) == told.model_dump(exclude={"applied"})
    moving.is_sound()


def test_history_becomes_what_its_evidence_says(moving: Moving, old: OldSystem) -> None:
    broken(old)
    moving.run()
    held = moving.session("held")
    assert (held["status"], held["ended_at"] - held["started_at"]) == ("completed", timedelta(minutes=20))
    assert moving.outcome("stuck") == ("completed", "billable")
    assert moving.session("stuck")["mechanic_id"] == old.ids["mechanic"]
    assert moving.outcome("withdrawn") == ("cancelled", "withdrawn")
    assert moving.outcome("lapsed") == ("expired", "expired")
    assert moving.outcome("former") == ("completed", "billable")
    # the client had said cancelled, completed and completed
    hung_up = moving.session("hung up")
    assert (hung_up["status"], hung_up["ended_at"] - hung_up["started_at"]) == ("completed", timedelta(minutes=15))
    assert (*moving.outcome("boasted"), moving.session("boasted")["absent"]) == ("cancelled", "no_show", "both")
    assert moving.outcome("brief") == ("cancelled", "too_short")
    stages = "SELECT count(*) FROM session_assignments WHERE session_id = %s AND status = 'completed'"
    assert moving.stage.one(stages, old.ids["stuck"]) == 1


def test_what_is_still_going_goes_on_from_where_it_is(moving: Moving, old: OldSystem) -> None:
    broken(old)
    moving.run()
    assignment = "SELECT status FROM session_assignments WHERE session_id = %s"
    waiting_since = "SELECT queued_at FROM session_assignments WHERE session_id = %s"
    assert moving.outcome("queued") == ("pending", None)
    assert moving.stage.one(assignment, old.ids["queued"]) == "queued"
    assert moving.stage.one(waiting_since, old.ids["queued"]) == old.ago(minutes=30) + timedelta(seconds=20)
    assert moving.stage.one(assignment, old.ids["unsigned"]) == "pending_waiver"
    assert moving.outcome("forgotten") == ("expired", "expired")
    assert moving.outcome("accepted") == ("waiting", None)
    assert moving.outcome("deserted") == ("pending", None)
    assert moving.stage.one(waiting_since, old.ids["deserted"]) == old.ago(minutes=50) + timedelta(seconds=20)
    talking = moving.session("talking")
    assert (talking["status"], talking["mechanic_id"], talking["customer_present"]) == ("live", old.ids["busy"], True)
    assert moving.outcome("second") == ("pending", None)
    assert (moving.outcome("twice older"), moving.outcome("twice newer")) == (("expired", "expired"), ("pending", None))
    left_running = moving.session("left running")
    assert left_running["status"] == "completed"
    assert left_running["ended_at"] - left_running["started_at"] == timedelta(minutes=180)
    assert [moving.outcome(name)[0] for name in ("tomorrow", "due", "missed")] == ["scheduled", "pending", "expired"]


def test_rows_that_are_one_consultation_become_one_session(moving: Moving, old: OldSystem) -> None:
    broken(old)
    report = moving.run()
    assert moving.outcome("unlinked") == ("expired", "expired")
    assert moving.session("unlinked")["mechanic_id"] == old.ids["mechanic"]
    for part, whole in (("its request", "unlinked"), ("linked", "held")):
        row = moving.archived(old.ids[part])
        assert (row["became"], row["session_id"]) == ("part", old.ids[whole])
    assert moving.outcome("asked") == ("pending", None)
    assert moving.outcome("ignored") == ("expired", "expired")
    # one id in two tables: the same customer's once, another customer's twice
    twins = "SELECT table_name, became, session_id FROM legacy_rows WHERE row_key = %s ORDER BY table_name DESC"
    first, second = moving.stage.owner.execute(twins, [str(old.ids["same"])]).fetchall()
    assert (first["became"], second["became"], second["session_id"]) == ("moved", "part", old.ids["same"])
    first, second = moving.stage.owner.execute(twins, [str(old.ids["clash"])]).fetchall()
    assert (first["became"], second["became"]) == ("moved", "moved")
    assert first["session_id"] == old.ids["clash"] != second["session_id"]
    assert counts(report.noticed)["id_changed"] == 1


def test_the_report_names_what_was_wrong_and_what_is_left(moving: Moving, old: OldSystem) -> None:
    broken(old)
    report = moving.run()
    assert counts(report.refused) == {"unknown_status": 1, "customer_missing": 2, "own_session": 1}
    noticed = counts(report.noticed)
    assert noticed["stuck_assignment"] == 3
    assert noticed["outcome_contradicted"] == 2
    assert noticed["completed_unproven"] == 1
    assert noticed["paid_twice"] == 1
    assert noticed["paid_and_open"] == 1
    assert noticed["customer_twice"] == 1
    assert noticed["mechanic_twice"] == 1
    assert noticed["mechanic_by_user"] == 1
    assert noticed["mechanic_unknown"] == 1
    assert noticed["orphan_row"] == 1
    for table in report.tables:
        assert table.rows == table.before + table.moved + table.part + table.kept + table.refused, table
    twice = next(remark for remark in report.noticed if remark.kind == "paid_twice")
    assert twice.samples == [str(old.ids["held"])]


def test_an_unknown_state_moves_once_it_is_said_what_it_means(moving: Moving, old: OldSystem) -> None:
    old.session("odd", old.ago(days=3), "Half_Done")
    refused = moving.run().refused
    assert [(each.kind, each.count) for each in refused] == [("unknown_status", 1)]
    assert "half_done" in refused[0].samples[0]
    assert moving.run(map_status={"half_done": "cancelled"}).refused == []
    assert moving.outcome("odd") == ("cancelled", "withdrawn")
    assert moving.archived(old.ids["odd"])["became"] == "moved"


def test_a_second_run_adds_nothing_and_a_later_row(moving: Moving, old: OldSystem) -> None:
    broken(old)
    moving.run()
    before = moving.everything()
    again = moving.run()
    assert moving.everything() == before
    assert sum(table.moved + table.part + table.kept for table in again.tables) == 0
    old.session("late", old.ago(days=1), "cancelled")
    assert sum(table.moved for table in moving.run().tables) == 1
    assert moving.outcome("late") == ("cancelled", "withdrawn")
    moving.is_sound()


def test_every_old_row_is_archived_word_for_word(moving: Moving, old: OldSystem) -> None:
    broken(old)
    moving.run()
    for table in (
        *("sessions", "session_requests", "diagnostic_sessions", "session_assignments", "intakes"),
        *("waiver_signatures", "mechanic_earnings", "chat_messages", "profiles", "mechanics", "organizations"),
    ):
        missing = moving.stage.owner.execute(f"""
SELECT t.id FROM legacy.{table} t LEFT JOIN legacy_rows r ON r.table_name = '{table}' AND r.row_key = t.id::text
 WHERE r.content IS DISTINCT FROM to_jsonb(t)""").fetchall()
        assert missing == [], table
    assert moving.archived(old.ids["odd"])["became"] == "refused"


def test_sweeps_and_people_go_on_with_what_moved(moving: Moving, old: OldSystem, stage: Stage) -> None:
    broken(old)
    moving.run()
    for sweep in (
        *("expire_orphaned_sessions", "expire_lapsed_offers", "bring_due_sessions", "release_absent_mechanics"),
        *("end_abandoned_sessions", "open_unreachable_requests"),
    ):
        assert stage.one(f"SELECT {sweep}()") == 0, sweep
    ended = stage.end(old.ids["talking customer"], old.ids["talking"])
    assert (ended.status, ended.reason, ended.already_ended) == ("completed", "billable", False)
    assert 12 * 60 <= (ended.duration_seconds or 0) < 14 * 60


def test_the_mechanic_of_one_that_was_paid_there_is_paid_here(moving: Moving, old: OldSystem, stage: Stage) -> None:
    broken(old)
    moving.run()
    fixed = "SELECT funding, price_cents, mechanic_fixed_pay_cents FROM intakes WHERE id = %s"
    row = stage.owner.execute(fixed, [old.ids["accepted"]]).fetchone()
    assert row == {"funding": "free", "price_cents": 0, "mechanic_fixed_pay_cents": 2099}
    assert stage.one("SELECT sum(mechanic_fixed_pay_cents) FROM intakes") == 2099


def test_an_old_diagnostic_session_is_ended_by_its_id_over_http(
    moving: Moving, old: OldSystem, stage: Stage, tmp_path: Path
) -> None:
    broken(old)
    moving.run()
    going, over = old.ids["diagnostic"], old.ids["old diagnostic"]
    with running_account(stage.urls, tmp_path) as account:
        customer = account.customer(old.ids["diagnostic customer"])
        assert customer.get("/api/customer/active-session")["session"]["sessionId"] == str(going)
        ended = customer.post(f"/api/sessions/{going}/end", {"status": "cancelled"})
        assert (ended["status"], ended["reason"], ended["alreadyEnded"]) == ("completed", "billable", False)
        assert ended["durationSeconds"] >= 30 * 60
        assert customer.post(f"/api/sessions/{going}/end")["alreadyEnded"] is True
        assert [each["sessionId"] for each in customer.get("/api/customer/sessions")["sessions"]] == [str(going)]
        owner = account.customer(old.ids["old diagnostic customer"])
        stands = owner.post(f"/api/sessions/{over}/end")
        assert (stands["status"], stands["alreadyEnded"], stands["durationSeconds"]) == ("completed", True, 40 * 60)
        timeline = owner.get(f"/api/sessions/{over}")["timeline"]
        assert [each["event"] for each in timeline][-1].endswith("completed")
        account.customer().post(f"/api/sessions/{over}/end", status=404)


def test_erasing_a_customer_empties_the_archive_of_them(moving: Moving, old: OldSystem, stage: Stage) -> None:
    old.session("held", old.ago(days=3), "cancelled")
    old.insert("chat_messages", session_id=old.ids["held"], content="It squeals")
    old.session("other", old.ago(days=3), "cancelled")
    old.request("part", old.ago(days=3), "cancelled", customer=old.ids["held customer"])
    old.connection.execute("CREATE TABLE legacy.request_files (id integer, session_request_id uuid, name text)")
    old.insert("request_files", id=1, session_request_id=old.ids["part"], name="brakes.jpg")
    old.connection.execute("GRANT SELECT ON legacy.request_files TO autodoctor_owner")
    moving.run()
    owner = Database(lambda: stage.urls.owner_url)
    kept = export_customer(owner, old.ids["held customer"])["oldSystem"]
    assert [each["table"] for each in kept].count("sessions") == 1
    assert {"chat_messages", "intakes", "profiles", "waiver_signatures"} <= {each["table"] for each in kept}
    erase_customer(owner, old.ids["held customer"], "test")
    owner.close()
    left = stage.owner.execute("SELECT row_key, session_id FROM legacy_rows WHERE content <> '{}'").fetchall()
    assert {row["session_id"] for row in left} == {old.ids["other"], None}
    assert str(old.ids["held customer"]) not in {row["row_key"] for row in left}
    # nor does another run bring it back
    old.session("more", old.ago(days=2), "cancelled", customer=old.ids["held customer"])
    assert counts(moving.run().refused) == {"customer_erased": 1}
    assert moving.archived(old.ids["more"])["content"] == {}


def test_bare_tables_move_too(moving: Moving, old: OldSystem) -> None:
    at = old.ago(days=2)
    old.session("bare", at, "completed", started_at=at, ended_at=at + timedelta(minutes=5))
    old.connection.execute("""
DROP TABLE legacy.profiles, legacy.intakes, legacy.waiver_signatures, legacy.session_assignments, legacy.mechanics,
           legacy.session_participants, legacy.session_requests, legacy.diagnostic_sessions, legacy.organizations,
           legacy.mechanic_earnings, legacy.chat_messages;
ALTER TABLE legacy.sessions DROP COLUMN metadata, DROP COLUMN updated_at, DROP COLUMN plan, DROP COLUMN intake_id,
            DROP COLUMN mechanic_id, DROP COLUMN type""")
    assert moving.run().refused == []
    assert moving.outcome("bare") == ("cancelled", "withdrawn")
    moving.is_sound()


def test_only_one_import_at_a_time_and_only_of_an_old_system(moving: Moving, old: OldSystem, stage: Stage) -> None:
    with stage.owner.transaction():
        stage.owner.execute("SELECT pg_advisory_lock(hashtext('autodoctor:import-legacy'))")
    with pytest.raises(ImportGoingOn):
        moving.run()
    old.connection.execute("DROP TABLE legacy.sessions, legacy.session_requests, legacy.diagnostic_sessions")
    with pytest.raises(NoOldSystem):
        moving.run(apply=False)


def test_who_has_a_session_here_already_keeps_that_one(moving: Moving, old: OldSystem, stage: Stage) -> None:
    customer = old.customer()
    stage.pending(customer)
    old.session("again", old.ago(minutes=5), "pending", customer=customer)
    report = moving.run()
    assert counts(report.noticed)["customer_twice"] == 1
    assert moving.outcome("again") == ("expired", "expired")


def test_what_a_constraint_refuses_does_not_hold_up_the_rest(moving: Moving, old: OldSystem, stage: Stage) -> None:
    stage.owner.execute("ALTER TABLE intakes ADD CONSTRAINT of_an_operator CHECK (customer_name <> 'Mallory')")
    for n in range(9):
        old.session(f"fine {n}", old.ago(days=n + 1), "cancelled")
    old.session("bad", old.ago(days=3), "cancelled")
    old.connection.execute("UPDATE legacy.intakes SET name = 'Mallory' WHERE customer_user_id = %s",
                           [old.ids["bad customer"]])  # fmt: skip
    report = moving.run()
    assert counts(report.refused) == {"refused_by_database": 1}
    assert moving.archived(old.ids["bad"])["note"] == "refused_by_database: 23514 of_an_operator"
    assert [each.moved for each in report.tables if each.table == "sessions"] == [9]
    stage.owner.execute("ALTER TABLE intakes DROP CONSTRAINT of_an_operator")
    assert moving.run().refused == []
    assert moving.outcome("bad") == ("cancelled", "withdrawn")
    moving.is_sound()


@pytest.mark.parametrize("limit", ["1", "3", "100"])
def test_a_history_lists_what_moved_after_ours_by_its_time(
    moving: Moving, old: OldSystem, stage: Stage, limit: str
) -> None:
    customer, (mechanic_id, mechanic_user) = old.customer(), old.mechanic()
    for days in (4, 2, 5, 3):
        at = old.ago(days=days)
        old.session(f"{days} days", at, "completed", customer=customer, mechanic_id=mechanic_id, started_at=at,
                    ended_at=at + timedelta(minutes=9))  # fmt: skip
    moving.run()
    mechanic = Mechanic(mechanic_id, mechanic_user)
    ours = [stage.live(mechanic, customer).session_id]
    stage.end(customer, ours[0])
    ours.append(stage.live(mechanic, customer).session_id)
    expected = [*reversed(ours), *(old.ids[f"{days} days"] for days in (2, 3, 4, 5))]
    for role, user_id in (("customer", customer), ("mechanic", mechanic_user)):
        seen, cursor = [], None
        while True:
            page = history(stage.app, cast("Role", role), user_id, limit, cursor)
            seen += [each.session_id for each in page.sessions]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == expected
