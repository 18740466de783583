"""The import of a badly damaged old database: the result for each kind of row, once, and no row lost."""

from datetime import timedelta
from pathlib import Path
from typing import cast

import psycopg
import pytest

from autodoctor.db import Database
from autodoctor.legacy.run import ImportGoingOn
from autodoctor.legacy.source import NoOldSystem
from autodoctor.operations.privacy import erase_customer, export_customer
from autodoctor.sessions.active import Role, history
from support.account import running_account
from support.legacy.import_env import ImportEnv, counts
from support.legacy.old_system import OldSystem, broken
from support.world import Mechanic, World


def test_a_dry_run_writes_nothing_and_says_what_applying_does(import_env: ImportEnv, old: OldSystem) -> None:
    broken(old)
    before = import_env.everything()
    told = import_env.run(apply=False)
    assert import_env.everything() == before
    assert import_env.world.one("SELECT count(*) FROM legacy_imports") == 0
    done = import_env.run()
    assert done.model_dump(exclude={"applied"}) == told.model_dump(exclude={"applied"})
    import_env.is_sound()


def test_history_becomes_what_its_evidence_says(import_env: ImportEnv, old: OldSystem) -> None:
    broken(old)
    import_env.run()
    held = import_env.session("held")
    assert (held["status"], held["ended_at"] - held["started_at"]) == ("completed", timedelta(minutes=20))
    assert import_env.outcome("stuck") == ("completed", "billable")
    assert import_env.session("stuck")["mechanic_id"] == old.ids["mechanic"]
    assert import_env.outcome("withdrawn") == ("cancelled", "withdrawn")
    assert import_env.outcome("lapsed") == ("expired", "expired")
    assert import_env.outcome("former") == ("completed", "billable")
    # the client had said cancelled, completed and completed
    hung_up = import_env.session("hung up")
    assert (hung_up["status"], hung_up["ended_at"] - hung_up["started_at"]) == ("completed", timedelta(minutes=15))
    assert (*import_env.outcome("boasted"), import_env.session("boasted")["absent"]) == ("cancelled", "no_show", "both")
    assert import_env.outcome("brief") == ("cancelled", "too_short")
    stages = "SELECT count(*) FROM session_assignments WHERE session_id = %s AND status = 'completed'"
    assert import_env.world.one(stages, old.ids["stuck"]) == 1


def test_what_is_still_going_goes_on_from_where_it_is(import_env: ImportEnv, old: OldSystem) -> None:
    broken(old)
    import_env.run()
    assignment = "SELECT status FROM session_assignments WHERE session_id = %s"
    waiting_since = "SELECT queued_at FROM session_assignments WHERE session_id = %s"
    assert import_env.outcome("queued") == ("pending", None)
    assert import_env.world.one(assignment, old.ids["queued"]) == "queued"
    assert import_env.world.one(waiting_since, old.ids["queued"]) == old.ago(minutes=30) + timedelta(seconds=20)
    assert import_env.world.one(assignment, old.ids["unsigned"]) == "pending_waiver"
    assert import_env.outcome("forgotten") == ("expired", "expired")
    assert import_env.outcome("accepted") == ("waiting", None)
    assert import_env.outcome("deserted") == ("pending", None)
    assert import_env.world.one(waiting_since, old.ids["deserted"]) == old.ago(minutes=50) + timedelta(seconds=20)
    talking = import_env.session("talking")
    assert (talking["status"], talking["mechanic_id"], talking["customer_present"]) == ("live", old.ids["busy"], True)
    assert import_env.outcome("second") == ("pending", None)
    assert (import_env.outcome("twice older"), import_env.outcome("twice newer")) == (
        ("expired", "expired"),
        ("pending", None),
    )
    left_running = import_env.session("left running")
    assert left_running["status"] == "completed"
    assert left_running["ended_at"] - left_running["started_at"] == timedelta(minutes=180)
    assert [import_env.outcome(name)[0] for name in ("tomorrow", "due", "missed")] == [
        "scheduled",
        "pending",
        "expired",
    ]


def test_rows_that_are_one_consultation_become_one_session(import_env: ImportEnv, old: OldSystem) -> None:
    broken(old)
    report = import_env.run()
    assert import_env.outcome("unlinked") == ("expired", "expired")
    assert import_env.session("unlinked")["mechanic_id"] == old.ids["mechanic"]
    for part, whole in (("its request", "unlinked"), ("linked", "held")):
        row = import_env.archived(old.ids[part])
        assert (row["became"], row["session_id"]) == ("part", old.ids[whole])
    assert import_env.outcome("asked") == ("pending", None)
    assert import_env.outcome("ignored") == ("expired", "expired")
    # one id in two tables: the same customer's once, another customer's twice
    twins = "SELECT table_name, became, session_id FROM legacy_rows WHERE row_key = %s ORDER BY table_name DESC"
    first, second = import_env.world.owner.execute(twins, [str(old.ids["same"])]).fetchall()
    assert (first["became"], second["became"], second["session_id"]) == ("moved", "part", old.ids["same"])
    first, second = import_env.world.owner.execute(twins, [str(old.ids["clash"])]).fetchall()
    assert (first["became"], second["became"]) == ("moved", "moved")
    assert first["session_id"] == old.ids["clash"] != second["session_id"]
    assert counts(report.noticed)["id_changed"] == 1


def test_the_report_names_what_was_wrong_and_what_is_left(import_env: ImportEnv, old: OldSystem) -> None:
    broken(old)
    report = import_env.run()
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


def test_an_unknown_state_moves_once_it_is_said_what_it_means(import_env: ImportEnv, old: OldSystem) -> None:
    old.session("odd", old.ago(days=3), "Half_Done")
    refused = import_env.run().refused
    assert [(each.kind, each.count) for each in refused] == [("unknown_status", 1)]
    assert "half_done" in refused[0].samples[0]
    assert import_env.run(map_status={"half_done": "cancelled"}).refused == []
    assert import_env.outcome("odd") == ("cancelled", "withdrawn")
    assert import_env.archived(old.ids["odd"])["became"] == "moved"


def test_a_second_run_adds_nothing_and_a_later_row(import_env: ImportEnv, old: OldSystem) -> None:
    broken(old)
    import_env.run()
    before = import_env.everything()
    again = import_env.run()
    assert import_env.everything() == before
    assert sum(table.moved + table.part + table.kept for table in again.tables) == 0
    old.session("late", old.ago(days=1), "cancelled")
    assert sum(table.moved for table in import_env.run().tables) == 1
    assert import_env.outcome("late") == ("cancelled", "withdrawn")
    import_env.is_sound()


def test_every_old_row_is_archived_word_for_word(import_env: ImportEnv, old: OldSystem) -> None:
    broken(old)
    import_env.run()
    for table in (
        *("sessions", "session_requests", "diagnostic_sessions", "session_assignments", "intakes"),
        *("waiver_signatures", "mechanic_earnings", "chat_messages", "profiles", "mechanics", "organizations"),
    ):
        missing = import_env.world.owner.execute(f"""
SELECT t.id FROM legacy.{table} t LEFT JOIN legacy_rows r ON r.table_name = '{table}' AND r.row_key = t.id::text
 WHERE r.content IS DISTINCT FROM to_jsonb(t)""").fetchall()
        assert missing == [], table
    assert import_env.archived(old.ids["odd"])["became"] == "refused"


def test_sweeps_and_people_go_on_with_what_moved(import_env: ImportEnv, old: OldSystem, world: World) -> None:
    broken(old)
    import_env.run()
    for sweep in (
        *("expire_orphaned_sessions", "expire_lapsed_offers", "bring_due_sessions", "release_absent_mechanics"),
        *("end_abandoned_sessions", "open_unreachable_requests"),
    ):
        assert world.one(f"SELECT {sweep}()") == 0, sweep
    ended = world.end(old.ids["talking customer"], old.ids["talking"])
    assert (ended.status, ended.reason, ended.already_ended) == ("completed", "billable", False)
    assert 12 * 60 <= (ended.duration_seconds or 0) < 14 * 60


def test_the_mechanic_of_one_that_was_paid_there_is_paid_here(
    import_env: ImportEnv, old: OldSystem, world: World
) -> None:
    broken(old)
    import_env.run()
    fixed = "SELECT funding, price_cents, mechanic_fixed_pay_cents FROM intakes WHERE id = %s"
    row = world.owner.execute(fixed, [old.ids["accepted"]]).fetchone()
    assert row == {"funding": "free", "price_cents": 0, "mechanic_fixed_pay_cents": 2099}
    assert world.one("SELECT sum(mechanic_fixed_pay_cents) FROM intakes") == 2099


def test_an_old_diagnostic_session_is_ended_by_its_id_over_http(
    import_env: ImportEnv, old: OldSystem, world: World, tmp_path: Path
) -> None:
    broken(old)
    import_env.run()
    going, over = old.ids["diagnostic"], old.ids["old diagnostic"]
    with running_account(world.urls, tmp_path) as account:
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


def test_erasing_a_customer_empties_the_archive_of_them(import_env: ImportEnv, old: OldSystem, world: World) -> None:
    old.session("held", old.ago(days=3), "cancelled")
    old.insert("chat_messages", session_id=old.ids["held"], content="It squeals")
    old.session("other", old.ago(days=3), "cancelled")
    old.request("part", old.ago(days=3), "cancelled", customer=old.ids["held customer"])
    old.connection.execute("CREATE TABLE legacy.request_files (id integer, session_request_id uuid, name text)")
    old.insert("request_files", id=1, session_request_id=old.ids["part"], name="brakes.jpg")
    old.connection.execute("GRANT SELECT ON legacy.request_files TO autodoctor_owner")
    import_env.run()
    owner = Database(lambda: world.urls.owner_url)
    kept = export_customer(owner, old.ids["held customer"])["oldSystem"]
    assert [each["table"] for each in kept].count("sessions") == 1
    assert {"chat_messages", "intakes", "profiles", "waiver_signatures"} <= {each["table"] for each in kept}
    erase_customer(owner, old.ids["held customer"], "test")
    owner.close()
    left = world.owner.execute("SELECT row_key, session_id FROM legacy_rows WHERE content <> '{}'").fetchall()
    assert {row["session_id"] for row in left} == {old.ids["other"], None}
    assert str(old.ids["held customer"]) not in {row["row_key"] for row in left}
    # nor does another run bring it back
    old.session("more", old.ago(days=2), "cancelled", customer=old.ids["held customer"])
    assert counts(import_env.run().refused) == {"customer_erased": 1}
    assert import_env.archived(old.ids["more"])["content"] == {}


def test_an_import_brings_nothing_back_of_who_was_erased(import_env: ImportEnv, old: OldSystem, world: World) -> None:
    old.session("held", old.ago(days=3), "cancelled")
    customer = old.ids["held customer"]
    import_env.run()
    with psycopg.connect(world.urls.owner_url, autocommit=True) as owner:
        owner.execute("SELECT erase_customer(%s, 'test')", [customer])
        old.session("more", old.ago(days=2), "cancelled", customer=customer)
        old.request("part", old.ago(days=2), "cancelled", customer=customer)
        for name in ("held", "more", "part"):
            old.insert("chat_messages", session_id=old.ids[name], content="It squeals")
        import_env.run()
        count = "SELECT count(*) FROM legacy_rows WHERE content <> '{}'"
        assert world.one(count) == 0
        assert world.one("SELECT count(*) FROM legacy_rows WHERE table_name = 'chat_messages'") == 3
        # nor does anything that came by another way outlast another erasure
        owner.execute("ALTER TABLE legacy_rows DISABLE TRIGGER legacy_rows_stay_forgotten")
        owner.execute("""UPDATE legacy_rows SET content = '{"a": 1}'""")
        owner.execute("SELECT erase_customer(%s, 'test')", [customer])
        assert world.one(count) == 0


def test_what_was_said_in_a_session_that_did_not_move_is_copied_and_erased(
    import_env: ImportEnv, old: OldSystem, world: World
) -> None:
    customer = old.customer()
    old.session("odd", old.ago(days=3), "half_done", customer=customer)
    old.insert("chat_messages", session_id=old.ids["odd"], content="It squeals")
    import_env.run()
    owner = Database(lambda: world.urls.owner_url)
    copied = export_customer(owner, customer)["oldSystem"]
    assert "It squeals" in [each["row"].get("content") for each in copied]
    erase_customer(owner, customer, "test")
    owner.close()
    assert world.one("SELECT count(*) FROM legacy_rows WHERE content <> '{}'") == 0


def test_rooms_of_what_was_over_have_nothing_to_be_emptied(import_env: ImportEnv, old: OldSystem, world: World) -> None:
    old.session("over", old.ago(days=3), "cancelled")
    old.session("queued", old.ago(minutes=30), "pending")
    import_env.run()
    kept = world.owner.execute("SELECT session_id FROM rooms WHERE kept").fetchall()
    assert [row["session_id"] for row in kept] == [old.ids["queued"]]


def test_bare_tables_move_too(import_env: ImportEnv, old: OldSystem) -> None:
    at = old.ago(days=2)
    old.session("bare", at, "completed", started_at=at, ended_at=at + timedelta(minutes=5))
    old.connection.execute("""
DROP TABLE legacy.profiles, legacy.intakes, legacy.waiver_signatures, legacy.session_assignments, legacy.mechanics,
           legacy.session_participants, legacy.session_requests, legacy.diagnostic_sessions, legacy.organizations,
           legacy.mechanic_earnings, legacy.chat_messages;
ALTER TABLE legacy.sessions DROP COLUMN metadata, DROP COLUMN updated_at, DROP COLUMN plan, DROP COLUMN intake_id,
            DROP COLUMN mechanic_id, DROP COLUMN type""")
    assert import_env.run().refused == []
    assert import_env.outcome("bare") == ("cancelled", "withdrawn")
    import_env.is_sound()


def test_only_one_import_at_a_time_and_only_of_an_old_system(
    import_env: ImportEnv, old: OldSystem, world: World
) -> None:
    with world.owner.transaction():
        world.owner.execute("SELECT pg_advisory_lock(hashtext('autodoctor:import-legacy'))")
    with pytest.raises(ImportGoingOn):
        import_env.run()
    old.connection.execute("DROP TABLE legacy.sessions, legacy.session_requests, legacy.diagnostic_sessions")
    with pytest.raises(NoOldSystem):
        import_env.run(apply=False)


def test_who_has_a_session_here_already_keeps_that_one(import_env: ImportEnv, old: OldSystem, world: World) -> None:
    customer = old.customer()
    world.pending(customer)
    old.session("again", old.ago(minutes=5), "pending", customer=customer)
    report = import_env.run()
    assert counts(report.noticed)["customer_twice"] == 1
    assert import_env.outcome("again") == ("expired", "expired")


def test_what_a_constraint_refuses_does_not_hold_up_the_rest(
    import_env: ImportEnv, old: OldSystem, world: World
) -> None:
    world.owner.execute("ALTER TABLE intakes ADD CONSTRAINT of_an_operator CHECK (customer_name <> 'Mallory')")
    for n in range(9):
        old.session(f"fine {n}", old.ago(days=n + 1), "cancelled")
    old.session("bad", old.ago(days=3), "cancelled")
    old.connection.execute("UPDATE legacy.intakes SET name = 'Mallory' WHERE customer_user_id = %s",
                           [old.ids["bad customer"]])  # fmt: skip
    report = import_env.run()
    assert counts(report.refused) == {"refused_by_database": 1}
    assert import_env.archived(old.ids["bad"])["note"] == "refused_by_database: 23514 of_an_operator"
    assert [each.moved for each in report.tables if each.table == "sessions"] == [9]
    world.owner.execute("ALTER TABLE intakes DROP CONSTRAINT of_an_operator")
    assert import_env.run().refused == []
    assert import_env.outcome("bad") == ("cancelled", "withdrawn")
    import_env.is_sound()


@pytest.mark.parametrize("limit", ["1", "3", "100"])
def test_a_history_lists_what_moved_after_ours_by_its_time(
    import_env: ImportEnv, old: OldSystem, world: World, limit: str
) -> None:
    customer, (mechanic_id, mechanic_user) = old.customer(), old.mechanic()
    for days in (4, 2, 5, 3):
        at = old.ago(days=days)
        old.session(f"{days} days", at, "completed", customer=customer, mechanic_id=mechanic_id, started_at=at,
                    ended_at=at + timedelta(minutes=9))  # fmt: skip
    import_env.run()
    mechanic = Mechanic(mechanic_id, mechanic_user)
    ours = [world.live(mechanic, customer).session_id]
    world.end(customer, ours[0])
    ours.append(world.live(mechanic, customer).session_id)
    expected = [*reversed(ours), *(old.ids[f"{days} days"] for days in (2, 3, 4, 5))]
    for role, user_id in (("customer", customer), ("mechanic", mechanic_user)):
        seen, cursor = [], None
        while True:
            page = history(world.app, cast("Role", role), user_id, limit, cursor)
            seen += [each.session_id for each in page.sessions]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == expected
