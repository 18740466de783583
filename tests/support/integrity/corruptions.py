"""At least one way to corrupt the rows of a database for every check of verify, which has to find it.

Each is a list of statements for a superuser, without triggers, checks and unique keys. `{name}` is the id of the
session of that name in sample_data.py.
"""

from typing import Final

from support.integrity.happened import HAPPENED
from support.integrity.money_corruptions import MONEY
from support.integrity.room_corruptions import ROOMS

type Corruption = tuple[str, ...]

_NAMELESS: Final = """
INSERT INTO admin_changes (id, actor, kind, subject, changed, before, after)
VALUES (new_id(), 'db:autodoctor_app', 'plan.changed', 'free', '{{name}}', '{{}}', '{{}}')
"""
_NOW: Final = "clock_timestamp()"
_A_DAY_AGO: Final = "clock_timestamp() - interval '1 day'"

ROWS: Final[dict[str, list[Corruption]]] = {
    **MONEY,
    **ROOMS,
    "lonely_rows": [("DELETE FROM sessions WHERE id = '{completed}'",)],
    "intake_differs": [
        ("DELETE FROM intakes WHERE id = '{completed}'",),
        ("UPDATE sessions SET customer_id = new_id() WHERE id = '{completed}'",),
    ],
    "status_unknown": [("UPDATE sessions SET status = 'diagnosing' WHERE id = '{completed}'",)],
    "assignment_missing": [
        ("DELETE FROM session_assignments WHERE session_id = '{queued}'",),
        ("UPDATE sessions SET current_assignment_id = new_id() WHERE id = '{completed}'",),
    ],
    "open_assignments": [
        ("INSERT INTO session_assignments (session_id, attempt, status) VALUES ('{queued}', 2, 'queued')",),
        ("UPDATE session_assignments SET status = 'expired', ended_at = now() WHERE session_id = '{queued}'",),
    ],
    "stuck_assignment": [
        ("UPDATE session_assignments SET status = 'accepted', ended_at = NULL WHERE session_id = '{completed}'",),
    ],
    "ended_differently": [("UPDATE session_assignments SET status = 'cancelled' WHERE session_id = '{completed}'",)],
    "end_incomplete": [
        ("UPDATE sessions SET ended_at = NULL WHERE id = '{completed}'",),
        ("UPDATE sessions SET end_reason = 'no_show' WHERE id = '{completed}'",),
    ],
    "held_differently": [
        ("UPDATE sessions SET mechanic_id = (SELECT max(id::text)::uuid FROM mechanics) WHERE id = '{completed}'",),
        ("UPDATE sessions SET mechanic_id = NULL WHERE id = '{waiting}'",),
    ],
    "own_session": [
        (
            (
                "UPDATE mechanics SET user_id = (SELECT user_id FROM customers c JOIN intakes s ON c.id = customer_id"
                " WHERE s.id = '{completed}') WHERE id = (SELECT mechanic_id FROM sessions WHERE id = '{completed}')"
            ),
        ),
    ],
    "two_active_sessions": [
        (
            (
                "UPDATE sessions SET customer_id = (SELECT customer_id FROM sessions WHERE id = '{queued}')"
                " WHERE id = '{urgent}'"
            ),
        ),
    ],
    "mechanic_twice": [
        (
            (
                "UPDATE sessions SET mechanic_id = (SELECT mechanic_id FROM sessions WHERE id = '{live}')"
                " WHERE id = '{waiting}'"
            ),
        ),
    ],
    # --- transitions
    "impossible_move": [
        ("UPDATE session_events SET from_status = 'pending' WHERE from_status = 'live'",),
        (
            (
                # as if repair had written it, but no run of repair says so
                "INSERT INTO session_events (session_id, from_status, to_status, actor, data)"
                " VALUES ('{completed}', 'completed', 'cancelled', 'operator:eve',"
                " jsonb_build_object('repair', new_id()))"
            ),
        ),
    ],
    "impossible_assignment_move": [
        (
            (
                "UPDATE session_assignment_events SET from_status = 'declined'"
                " WHERE session_id = '{completed}' AND to_status = 'completed'"
            ),
        ),
    ],
    "missing_audit": [
        ("DELETE FROM session_events WHERE session_id = '{completed}' AND to_status = 'completed'",),
        ("DELETE FROM session_events WHERE session_id = '{completed}' AND to_status = 'waiting'",),
        ("DELETE FROM session_events WHERE session_id = '{queued}'",),
    ],
    "missing_assignment_audit": [
        ("DELETE FROM session_assignment_events WHERE session_id = '{completed}' AND to_status = 'queued'",),
        ("DELETE FROM session_assignment_events WHERE session_id = '{queued}'",),
    ],
    "actor_unknown": [
        ("UPDATE session_events SET actor = 'eve' WHERE session_id = '{completed}' AND to_status = 'completed'",),
        ("UPDATE session_events SET actor_id = NULL WHERE session_id = '{completed}' AND to_status = 'completed'",),
    ],
    "not_followed": [
        (
            (
                "UPDATE session_assignment_events SET actor_id = new_id()"
                " WHERE session_id = '{completed}' AND to_status = 'completed'"
            ),
        ),
    ],
    # --- outcomes
    "wrongly_marked": [
        (
            "UPDATE sessions SET status = 'cancelled', end_reason = 'too_short' WHERE id = '{completed}'",
            "UPDATE session_assignments SET status = 'cancelled' WHERE session_id = '{completed}'",
        ),
        (
            (
                "UPDATE sessions SET status = 'completed', end_reason = 'billable',"
                " ended_at = ended_at + interval '1 hour', together_seconds = together_seconds + 3600"
                " WHERE id = '{too short}'"
            ),
        ),
        ("UPDATE sessions SET status = 'expired', end_reason = 'expired', started_at = NULL WHERE id = '{completed}'",),
        ("UPDATE sessions SET absent = 'customer' WHERE id = '{no show of both}'",),
        (
            (
                "UPDATE session_presence SET until = since + interval '5 s', closed_at = since + interval '5 s'"
                " WHERE session_id = '{completed}'"
            ),
        ),
        ("DELETE FROM session_presence WHERE session_id = '{completed}' AND role = 'mechanic'",),
        ("UPDATE rooms SET customer_written = 0 WHERE session_id = '{completed}'",),
        ("UPDATE session_presence SET source = 'claim' WHERE session_id = '{long}' AND role = 'mechanic'",),
        (
            (
                "UPDATE session_presence SET recorded_at = clock_timestamp() WHERE session_id = '{long}'"
                " AND role = 'mechanic'"
            ),
        ),
        ("UPDATE sessions SET end_reason = 'no_talk' WHERE id = '{too short}'",),
    ],
    "late_evidence_ignored": [
        (
            "UPDATE session_presence SET source = 'medium' WHERE session_id = '{completed by card}'",
            (
                "INSERT INTO session_presence (session_id, since, role, source, witness, recorded_at, until, closed_at)"
                " SELECT id, started_at, 'customer', 'mutual', 'm', started_at, started_at + interval '1 s',"
                "        started_at + interval '1 s' FROM sessions WHERE id = '{completed by card}'"
            ),
        ),
        (
            (
                "UPDATE session_presence p SET until = p.since + interval '1 s', closed_at ="
                " (SELECT max(e.occurred_at) + interval '1 ms' FROM session_events e WHERE e.session_id = p.session_id)"
                " WHERE p.session_id = '{completed by card}'"
            ),
        ),
    ],
    "wrong_times": [
        ("UPDATE sessions SET together_seconds = together_seconds - 0.5 WHERE id = '{long}'",),
        ("UPDATE sessions SET ended_at = ended_at + interval '1 hour' WHERE id = '{completed}'",),
        ("UPDATE sessions SET started_at = started_at - interval '1 hour' WHERE id = '{live}'",),
        ("UPDATE sessions SET ended_at = ended_at - interval '1 hour' WHERE id = '{no show of both}'",),
    ],
    "billable_mismatch": [("UPDATE sessions SET min_billable_seconds = 900 WHERE id = '{completed}'",)],
    "start_mismatch": [("UPDATE sessions SET started_at = NULL WHERE id = '{live}'",)],
    # --- evidence
    "customer_missing": [
        ("DELETE FROM session_participants WHERE session_id = '{completed}' AND role = 'customer'",),
        ("UPDATE session_participants SET customer_id = new_id() WHERE session_id = '{queued}'",),
    ],
    "mechanic_missing": [
        ("UPDATE session_participants SET until = now() WHERE session_id = '{completed}' AND role = 'mechanic'",),
    ],
    "participation_differs": [
        ("DELETE FROM session_participants WHERE session_id = '{completed}' AND role = 'mechanic'",),
    ],
    "stretches_broken": [
        ("UPDATE session_presence SET until = since - interval '1 s' WHERE session_id = '{completed}'",),
        (
            (
                "UPDATE session_presence SET until = NULL, closed_at = NULL, source = 'claim', witness = NULL"
                " WHERE session_id = '{completed}'"
            ),
        ),
    ],
    "stranger_joined": [
        ("UPDATE session_presence SET mechanic_id = new_id() WHERE session_id = '{completed}' AND role = 'mechanic'",),
    ],
    "medium_differs": [
        ("UPDATE session_presence SET since = since - interval '1 s' WHERE session_id = '{called}'",),
        ("DELETE FROM media_events WHERE session_id = '{called}' AND kind = 'left'",),
        ("UPDATE session_presence SET replaced_at = NULL WHERE session_id = '{called}'",),
        (
            (
                "INSERT INTO session_presence (session_id, since, role, source, witness, until, closed_at)"
                " SELECT id, accepted_at, 'customer', 'medium', 'brought/customer', ended_at, ended_at"
                "   FROM sessions WHERE id = '{completed}'"
            ),
        ),
    ],
    "presence_differs": [("UPDATE sessions SET customer_present = false WHERE id = '{live}'",)],
    "first_joins_differ": [
        ("UPDATE sessions SET customer_joined_at = customer_joined_at - interval '1 hour' WHERE id = '{completed}'",),
    ],
    # --- timestamps
    "in_the_future": [
        (f"UPDATE session_events SET occurred_at = {_NOW} + interval '1 day' WHERE session_id = '{{completed}}'",),
        (f"UPDATE sessions SET created_at = {_NOW} + interval '1 day' WHERE id = '{{queued}}'",),
        *((f"UPDATE {table} SET {column} = {_NOW} + interval '2 days'",) for table, column in HAPPENED),
    ],
    "out_of_order": [
        ("UPDATE sessions SET accepted_at = ended_at + interval '1 hour' WHERE id = '{completed}'",),
        ("UPDATE settlements SET decided_at = '2020-01-01'",),
        ("UPDATE waivers SET signed_at = '2020-01-01' WHERE session_id = '{completed}'",),
        (
            (
                "UPDATE session_assignments SET available_at = available_at + interval '1 day'"
                " WHERE session_id = '{scheduled}'"
            ),
        ),
    ],
    "trail_out_of_order": [
        (
            (
                "UPDATE session_events SET occurred_at = occurred_at - interval '1 day'"
                " WHERE session_id = '{completed}' AND to_status = 'completed'"
            ),
        ),
    ],
    "unlike_its_trail": [
        ("UPDATE session_assignments SET ended_at = ended_at - interval '1 hour' WHERE session_id = '{completed}'",),
        ("UPDATE sessions SET accepted_at = accepted_at - interval '20 seconds' WHERE id = '{waiting}'",),
        ("UPDATE session_assignments SET queued_at = '2020-01-01' WHERE session_id = '{completed}'",),
        ("UPDATE session_assignments SET queued_at = '2020-01-01' WHERE session_id = '{scheduled}'",),
        (f"UPDATE session_assignments SET queued_at = {_NOW} + interval '2 days' WHERE session_id = '{{scheduled}}'",),
        ("UPDATE session_assignments SET available_at = '2020-01-01' WHERE session_id = '{scheduled}'",),
        (
            (
                "UPDATE session_participants SET since = '2020-01-01'"
                " WHERE session_id = '{completed}' AND role = 'mechanic'"
            ),
        ),
        (
            (
                "UPDATE session_participants SET since = '2020-01-01'"
                " WHERE session_id = '{completed}' AND role = 'customer'"
            ),
        ),
        ("UPDATE session_participants SET until = NULL WHERE session_id = '{declined, released, completed}'",),
        ("UPDATE sessions SET created_at = '2020-01-01' WHERE id = '{completed}'",),
        ("UPDATE sessions SET released_at = '2020-01-01' WHERE released_at IS NOT NULL",),
    ],
    # --- metadata
    "unsigned": [("DELETE FROM waivers WHERE session_id = '{completed}'",)],
    "undescribed": [
        ("UPDATE intakes SET vehicle = '{{}}' WHERE id = '{bought}'",),
        ("UPDATE intakes SET concern = '' WHERE id = '{bought}'",),
    ],
    "plan_mismatch": [("UPDATE intakes SET session_type = 'diagnostic' WHERE id = '{bought}'",)],
    "funding_mismatch": [
        ("UPDATE intakes SET price_cents = 0 WHERE id = '{bought}'",),
        ("UPDATE intakes SET funding = 'barter' WHERE id = '{bought}'",),
    ],
    "copy_differs": [
        ("UPDATE session_assignments SET urgent = true WHERE session_id = '{queued}'",),
        ("UPDATE sessions SET scheduled_for = NULL WHERE id = '{scheduled}'",),
    ],
    "change_by_nobody": [(_NAMELESS,)],
    "role_setting": [
        ("ALTER ROLE autodoctor_app SET search_path = 'evil'",),
        ("ALTER ROLE autodoctor_app SET statement_timeout = 0",),
        ("ALTER ROLE autodoctor_app RESET lock_timeout",),
    ],
    "large_object": [("SELECT lo_create(4711)", "ALTER LARGE OBJECT 4711 OWNER TO autodoctor_app")],
    # --- activity, queue, outbox
    "orphan_left": [(f"UPDATE sessions SET created_at = {_A_DAY_AGO} WHERE id = '{{queued}}'",)],
    "live_too_long": [
        (f"UPDATE sessions SET started_at = {_A_DAY_AGO} WHERE id = '{{live}}'",),
        (f"UPDATE sessions SET parted_at = {_A_DAY_AGO} WHERE id = '{{parted}}'",),
        (f"UPDATE sessions SET started_at = {_NOW} - interval '90 minutes' WHERE id = '{{live}}'",),
    ],
    "settlement_held": [
        ("INSERT INTO settlement_holds (session_id, demanded, facts) VALUES ('{long}', 'cancelled', '{{}}')",),
    ],
    "offer_lapsed": [(f"UPDATE session_assignments SET offer_expires_at = {_A_DAY_AGO} WHERE status = 'offered'",)],
    "scheduled_overdue": [(f"UPDATE sessions SET scheduled_for = {_A_DAY_AGO} WHERE id = '{{scheduled}}'",)],
    "mechanic_never_came": [(f"UPDATE sessions SET accepted_at = {_A_DAY_AGO} WHERE id = '{{waiting}}'",)],
    "summary_waits": [
        (
            "DELETE FROM session_summaries",
            f"INSERT INTO session_summaries (session_id, due_at) VALUES ('{{completed}}', {_A_DAY_AGO})",
        ),
    ],
    "queued_and_over": [
        ("UPDATE session_assignments SET status = 'queued', ended_at = NULL WHERE session_id = '{completed}'",),
    ],
    "queued_wrongly": [
        ("UPDATE session_assignments SET queued_at = NULL WHERE session_id = '{queued}'",),
        ("UPDATE session_assignments SET offer_expires_at = NULL WHERE session_id = '{offered}'",),
    ],
    "offered_in_vain": [
        (
            (
                "UPDATE mechanics SET status = 'suspended' WHERE id ="
                " (SELECT mechanic_id FROM session_assignments WHERE session_id = '{offered}')"
            ),
        ),
        ("UPDATE session_assignments SET declined_by = ARRAY[mechanic_id] WHERE session_id = '{offered}'",),
    ],
    "unreachable": [
        (
            "UPDATE mechanics SET status = 'suspended' WHERE workshop_id IS NOT NULL",
            f"UPDATE session_assignments SET queued_at = {_A_DAY_AGO} WHERE workshop_id IS NOT NULL",
        ),
    ],
    "outbox_lag": [
        (
            (
                "INSERT INTO outbox (subject_id, id) SELECT session_id, id FROM session_events"
                " WHERE session_id = '{expired queued}' AND to_status = 'expired'"
            ),
        ),
    ],
    "not_told": [
        (f"DELETE FROM mail_deliveries WHERE kind = '{kind}'",)
        for kind in (
            *("suspended", "request_received", "mechanic_assigned", "session_cancelled", "back_in_queue"),
            *("session_taken_back", "session_closed", "session_completed", "payout_sent", "payment_received"),
            *("credits_bought", "refund_sent", "quote_requested", "quote_given", "quote_approved", "contest_opened"),
            "contest_decided",
        )
    ],
    "outbox_poison": [
        ("INSERT INTO outbox_poison (subject_id, id, error) VALUES ('{completed}', 1, 'InternalFailure')",)
    ],
    "outbox_of_nothing": [("INSERT INTO outbox (subject_id, id) VALUES ('{completed}', 999999)",)],
}
