"""The table of attacks: SQL that would break an invariant, and the SQLSTATE of its refusal."""

from dataclasses import dataclass

NO_MOVE, UNAVAILABLE, OWN_SESSION, FIXED, DISAGREE = "AD001", "AD002", "AD003", "AD004", "AD005"
NOT_ALLOWED, CHECK, UNIQUE, FOREIGN = "42501", "23514", "23505", "23503"


@dataclass(frozen=True)
class Attack:
    """SQL with the cast's ids as parameters, and how it is refused.

    `owner` is None for what only the application's role must not do.
    """

    invariant: int
    aim: str
    sql: str
    app: str
    owner: str | None

    def __str__(self) -> str:
        return f"{self.invariant}: {self.aim}"


def both(invariant: int, aim: str, refused: str, sql: str) -> Attack:
    return Attack(invariant, aim, sql, refused, refused)


def by_hand(invariant: int, aim: str, refused: str, sql: str) -> Attack:
    """Statements that the application's role has no privilege for, and that a rule refuses to the owner."""
    return Attack(invariant, aim, sql, NOT_ALLOWED, refused)


def app_only(invariant: int, aim: str, sql: str) -> Attack:
    return Attack(invariant, aim, sql, NOT_ALLOWED, None)


INTAKE = """
INSERT INTO intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
                     mechanic_share_bp, max_minutes, customer_name, vehicle, concern, urgent)
SELECT %(new)s, {customer}, code, 'free', 'chat', 0, 'usd', 0, 0, 180, 'Eve', '{{}}', 'none', false
  FROM plans WHERE code = 'free';
"""
FREE, BUSY = INTAKE.format(customer="%(free_customer)s"), INTAKE.format(customer="%(queued_customer)s")

ATTACKS = [
    both(1, "a second active session", UNIQUE, BUSY + """
        INSERT INTO sessions (id, customer_id, current_assignment_id)
        VALUES (%(new)s, %(queued_customer)s, %(newer)s)"""),
    both(1, "a session of one customer on the intake of another", FOREIGN, BUSY + """
        INSERT INTO sessions (id, customer_id, current_assignment_id)
        VALUES (%(new)s, %(free_customer)s, %(newer)s)"""),
    by_hand(1, "give a session to a customer who has one", FIXED,
        "UPDATE sessions SET customer_id = %(queued_customer)s WHERE id = %(live)s"),
    both(1, "bring an ended session back", NO_MOVE, "UPDATE sessions SET status = 'pending' WHERE id = %(cancelled)s"),
    both(2, "a session without an assignment", FOREIGN, FREE + """
        INSERT INTO sessions (id, customer_id, current_assignment_id)
        VALUES (%(new)s, %(free_customer)s, %(newer)s)"""),
    both(2, "a session with another one's assignment", DISAGREE, FREE + """
        INSERT INTO sessions (id, customer_id, current_assignment_id)
        VALUES (%(new)s, %(free_customer)s, %(queued_assignment)s)"""),
    both(2, "a second open assignment", UNIQUE, """
        INSERT INTO session_assignments (session_id, attempt, status) VALUES (%(queued)s, 2, 'queued')"""),
    both(2, "end the only open assignment", DISAGREE,
        "UPDATE session_assignments SET status = 'cancelled' WHERE id = %(queued_assignment)s"),
    both(2, "let the assignment of a live session expire", DISAGREE,
        "UPDATE session_assignments SET status = 'expired' WHERE id = %(live_assignment)s"),
    by_hand(2, "point at another session's assignment", DISAGREE,
        "UPDATE sessions SET current_assignment_id = %(queued_assignment)s WHERE id = %(live)s"),
    by_hand(2, "point back at a declined assignment", DISAGREE,
        "UPDATE sessions SET current_assignment_id = %(declined_assignment)s WHERE id = %(declined)s"),
    by_hand(2, "move an assignment to another session", FIXED,
        "UPDATE session_assignments SET session_id = %(live)s WHERE id = %(queued_assignment)s"),
    by_hand(2, "delete the assignment", FIXED, "DELETE FROM session_assignments WHERE id = %(queued_assignment)s"),
    by_hand(2, "delete an earlier assignment", FIXED,
        "DELETE FROM session_assignments WHERE id = %(declined_assignment)s"),
    by_hand(2, "empty the table of sessions", FIXED, "TRUNCATE sessions CASCADE"),
    by_hand(2, "delete a session with all that belongs to it", FIXED, """
        DELETE FROM session_participants WHERE session_id = %(queued)s;
        DELETE FROM waivers WHERE session_id = %(queued)s;
        DELETE FROM session_assignments WHERE session_id = %(queued)s;
        DELETE FROM sessions WHERE id = %(queued)s"""),
    both(3, "open an assignment for an ended session", DISAGREE, """
        INSERT INTO session_assignments (session_id, attempt, status) VALUES (%(completed)s, 2, 'queued')"""),
    both(3, "open an ended assignment again", NO_MOVE,
        "UPDATE session_assignments SET status = 'accepted' WHERE id = %(completed_assignment)s"),
    both(3, "an assignment that says another outcome", NO_MOVE,
        "UPDATE session_assignments SET status = 'cancelled' WHERE id = %(completed_assignment)s"),
    both(3, "end the assignment one way and the session another", DISAGREE, """
        UPDATE session_assignments SET status = 'expired' WHERE id = %(waiting_assignment)s;
        UPDATE sessions SET status = 'cancelled' WHERE id = %(waiting)s"""),
    both(4, "begin in the middle", NO_MOVE, FREE + """
        INSERT INTO sessions (id, customer_id, current_assignment_id, status)
        VALUES (%(new)s, %(free_customer)s, %(newer)s, 'live')"""),
    both(4, "begin an assignment accepted", NO_MOVE, """
        INSERT INTO session_assignments (session_id, attempt, status, mechanic_id)
        VALUES (%(completed)s, 2, 'accepted', %(free_mechanic)s)"""),
    both(4, "a status that does not exist", NO_MOVE, "UPDATE sessions SET status = 'paused' WHERE id = %(live)s"),
    both(5, "accepted by nobody", CHECK, "UPDATE sessions SET status = 'waiting' WHERE id = %(queued)s"),
    both(5, "a mechanic before anybody accepted", CHECK,
        "UPDATE sessions SET mechanic_id = %(free_mechanic)s WHERE id = %(queued)s"),
    both(5, "accept what is not signed", UNAVAILABLE,
        "UPDATE sessions SET status = 'waiting', mechanic_id = %(free_mechanic)s WHERE id = %(pending)s"),
    both(5, "accept another mechanic's offer", UNAVAILABLE,
        "UPDATE sessions SET status = 'waiting', mechanic_id = %(free_mechanic)s WHERE id = %(offered)s"),
    both(5, "accept what was declined before", UNAVAILABLE,
        "UPDATE sessions SET status = 'waiting', mechanic_id = %(decliner)s WHERE id = %(declined)s"),
    both(5, "be the mechanic of one's own session", OWN_SESSION,
        "UPDATE sessions SET status = 'waiting', mechanic_id = %(customer_as_mechanic)s WHERE id = %(queued)s"),
    both(5, "swap the mechanic before the start", DISAGREE,
        "UPDATE sessions SET mechanic_id = %(free_mechanic)s WHERE id = %(waiting)s"),
    both(5, "swap the mechanic of a live session", FIXED,
        "UPDATE sessions SET mechanic_id = %(free_mechanic)s WHERE id = %(live)s"),
    both(5, "swap the mechanic of a completed session", FIXED,
        "UPDATE sessions SET mechanic_id = %(free_mechanic)s WHERE id = %(completed)s"),
    both(5, "accept the assignment behind the session's back", DISAGREE, """
        UPDATE session_assignments SET status = 'accepted', mechanic_id = %(free_mechanic)s
         WHERE id = %(queued_assignment)s"""),
    both(5, "swap the mechanic of an assignment", FIXED,
        "UPDATE session_assignments SET mechanic_id = %(free_mechanic)s WHERE id = %(waiting_assignment)s"),
    by_hand(5, "take the mechanic out of the participants", DISAGREE,
        "DELETE FROM session_participants WHERE session_id = %(waiting)s AND role = 'mechanic'"),
    by_hand(5, "say that the mechanic has left the session", DISAGREE,
        "UPDATE session_participants SET until = now() WHERE session_id = %(waiting)s AND role = 'mechanic'"),
    by_hand(5, "put another mechanic in the participant's place", DISAGREE, """
        UPDATE session_participants SET mechanic_id = %(free_mechanic)s
         WHERE session_id = %(waiting)s AND role = 'mechanic'"""),
    app_only(5, "smuggle a second mechanic in", """
        INSERT INTO session_participants (session_id, role, mechanic_id)
        VALUES (%(waiting)s, 'mechanic', %(free_mechanic)s)"""),
    both(6, "completed too soon", CHECK, "UPDATE sessions SET status = 'completed' WHERE id = %(live)s"),
    both(6, "completed by an end in the future", CHECK,
        "UPDATE sessions SET status = 'completed', ended_at = now() + interval '1 hour' WHERE id = %(live)s"),
    both(6, "cancelled although it lasted long enough", CHECK,
        "UPDATE sessions SET status = 'cancelled' WHERE id = %(long)s"),
    both(6, "expired although it had started", NO_MOVE, "UPDATE sessions SET status = 'expired' WHERE id = %(long)s"),
    both(6, "a start that nobody attended", NO_MOVE, "UPDATE sessions SET status = 'live' WHERE id = %(waiting)s"),
    both(6, "a start that one side attended", NO_MOVE,
        "UPDATE sessions SET status = 'live' WHERE id = %(half_joined)s"),
    by_hand(6, "a start that nobody attended, with a time", NO_MOVE,
        "UPDATE sessions SET status = 'live', started_at = now() WHERE id = %(waiting)s"),
    by_hand(6, "completed with a start moved back in the same statement", CHECK, """
        UPDATE sessions SET status = 'completed', started_at = started_at - interval '1 hour' WHERE id = %(live)s"""),
    both(6, "completed too soon, under a threshold of the connection's own", CHECK, """
        SET app.min_billable_seconds = 0; UPDATE sessions SET status = 'completed' WHERE id = %(live)s"""),
    both(6, "cancelled although it lasted long enough, under a threshold of the connection's own", CHECK, """
        SET app.min_billable_seconds = 999999; UPDATE sessions SET status = 'cancelled' WHERE id = %(long)s"""),
    by_hand(6, "completed under a threshold of its own", CHECK,
        "UPDATE sessions SET status = 'completed', min_billable_seconds = 0 WHERE id = %(live)s"),
    both(6, "cancelled by an early end", CHECK,
        "UPDATE sessions SET status = 'cancelled', ended_at = created_at + interval '1 s' WHERE id = %(long)s"),
    by_hand(6, "a start in the future", FIXED,
        "UPDATE sessions SET started_at = now() + interval '1 hour' WHERE id = %(live)s"),
    app_only(6, "a start moved back while live",
        "UPDATE sessions SET started_at = now() - interval '1 hour' WHERE id = %(live)s"),
    by_hand(6, "a start before it is live", CHECK,
        "UPDATE sessions SET started_at = now() - interval '1 hour' WHERE id = %(waiting)s"),
    by_hand(6, "a longer duration afterwards", FIXED,
        "UPDATE sessions SET started_at = started_at - interval '1 hour' WHERE id = %(completed)s"),
    both(6, "another end afterwards", FIXED,
        "UPDATE sessions SET ended_at = ended_at - interval '1 minute' WHERE id = %(completed)s"),
    both(6, "another reason afterwards", FIXED,
        "UPDATE sessions SET end_reason = 'no_show' WHERE id = %(cancelled)s"),
    by_hand(6, "a lower threshold afterwards", FIXED,
        "UPDATE sessions SET min_billable_seconds = 0 WHERE id = %(completed)s"),
    by_hand(6, "come after the end", NO_MOVE, "UPDATE sessions SET customer_present = true WHERE id = %(cancelled)s"),
    by_hand(6, "come and end in one statement", NO_MOVE,
        "UPDATE sessions SET customer_present = true, status = 'cancelled' WHERE id = %(half_joined)s"),
    by_hand(6, "be there from the beginning", NO_MOVE, FREE + """
        INSERT INTO sessions (id, customer_id, current_assignment_id, customer_present)
        VALUES (%(new)s, %(free_customer)s, %(newer)s, true)"""),
    app_only(6, "say by hand that somebody is there",
        "UPDATE sessions SET customer_present = true WHERE id = %(waiting)s"),
    app_only(6, "invent what a witness saw", """
        INSERT INTO session_presence (session_id, role, source, since)
        VALUES (%(waiting)s, 'customer', 'claim', now())"""),
    app_only(6, "bind a socket to a room by hand", "UPDATE realtime_connections SET room = %(waiting)s"),
    app_only(6, "say by hand when somebody came",
        "UPDATE sessions SET customer_joined_at = now() WHERE id = %(waiting)s"),
    by_hand(7, "change the evidence", FIXED,
        "UPDATE session_presence SET since = since - interval '1 h' WHERE session_id = %(live)s"),
    by_hand(7, "remove a stretch of presence", FIXED, "DELETE FROM session_presence WHERE session_id = %(live)s"),
    by_hand(7, "remove every stretch of presence", FIXED, "TRUNCATE session_presence"),
    by_hand(7, "change the history", FIXED,
        "UPDATE session_events SET occurred_at = now() WHERE session_id = %(live)s"),
    by_hand(7, "remove the history", FIXED, "DELETE FROM session_events WHERE session_id = %(live)s"),
    by_hand(7, "remove all history", FIXED, "TRUNCATE session_events"),
    by_hand(7, "change an assignment's history", FIXED, "UPDATE session_assignment_events SET actor = 'nobody'"),
    by_hand(7, "remove an assignment's history", FIXED, "DELETE FROM session_assignment_events"),
    by_hand(7, "remove every assignment's history", FIXED, "TRUNCATE session_assignment_events"),
    app_only(7, "invent a transition", """
        INSERT INTO session_events (session_id, to_status, actor) VALUES (%(waiting)s, 'live', 'system:me')"""),
    app_only(7, "invent history", """
        INSERT INTO session_assignment_events (session_id, assignment_id, to_status, actor)
        VALUES (%(waiting)s, %(waiting_assignment)s, 'completed', 'system:me')"""),
    app_only(7, "invent evidence through the schema's own function", """
        SELECT open_presence(%(waiting)s, 'customer', NULL, 'claim', NULL, now())"""),
    app_only(7, "switch the audit off", "ALTER TABLE sessions DISABLE TRIGGER sessions_guard"),
    both(7, "switch all triggers off", NOT_ALLOWED, "SET session_replication_role = replica"),
    app_only(7, "replace the audit", "CREATE OR REPLACE FUNCTION sessions_guard() RETURNS trigger LANGUAGE sql AS ''"),
    by_hand(2, "blind the check at commit with a table of one's own", DISAGREE, """
        CREATE TEMP TABLE sessions (LIKE public.sessions);
        UPDATE session_assignments SET status = 'cancelled' WHERE id = %(queued_assignment)s"""),
    both(8, "a second session for a busy mechanic", UNIQUE,
        "UPDATE sessions SET status = 'waiting', mechanic_id = %(holder)s WHERE id = %(queued)s"),
    both(8, "two sessions at once", UNIQUE, """
        UPDATE sessions SET status = 'waiting', mechanic_id = %(free_mechanic)s
         WHERE id IN (%(queued)s, %(declined)s)"""),
]  # fmt: skip
