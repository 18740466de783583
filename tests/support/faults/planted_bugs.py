"""Mistakes that somebody could make: a missing index, owner check, guard, signature check, dedupe or limit.

Each is one edit of a file of the layer, and names the test that has to fail for it. tests/faults/test_planted_bugs.py
makes the edits in a copy.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Bug:
    """One mistake.

    Attributes:
        file: below layers/shared/autodoctor.
        right: what stands there, once or first.
        wrong: what stands there instead.
        test: the test that catches it, below tests: file::name.
    """

    file: str
    right: str
    wrong: str
    test: str


def _ordinary(file: str, index: str, test: str) -> Bug:
    return Bug(file, f"CREATE UNIQUE INDEX {index} ", f"CREATE INDEX {index} ", test)


def _nothing(file: str, constraint: str, rule: str, test: str) -> Bug:
    return Bug(file, f"CONSTRAINT {constraint} {rule}", f"CONSTRAINT {constraint} CHECK (true)", test)


_INTAKE: Final = "intake/test_intake.py::"
_INBOX: Final = "payments/webhooks/test_inbox.py::"
_QUOTES: Final = "quotes/test_quotes.py::"
_CREDITS: Final = "payments/ledger/test_credits.py::"
_HOLDS: Final = "payments/outgoing/test_holds.py::"
_CHECKOUT: Final = "payments/checkout/test_checkout.py::"
_ERASED: Final = "AND NOT EXISTS (SELECT FROM customers c WHERE c.user_id = %(user_id)s AND c.erased_at IS NOT NULL)"

BUGS: Final[dict[str, Bug]] = {
    # --- indexes and constraints that say once
    "index: a customer has two sessions": _ordinary(
        "sql/sessions/0003_sessions.sql",
        "uq_active_session_per_customer",
        _INTAKE + "test_of_two_intakes_at_once_one_is_refused",
    ),
    "index: a mechanic has two sessions": _ordinary(
        "sql/sessions/0003_sessions.sql",
        "uq_busy_session_per_mechanic",
        "concurrency/test_guards_removed.py::test_a_guard_in_its_place_keeps_the_invariants",
    ),
    "index: two pages for one intake": _ordinary(
        "sql/money/0011_checkout.sql",
        "checkouts_one_intake_at_once",
        _CHECKOUT + "test_two_intakes_at_once_make_one_page",
    ),
    "index: two consents in force": _ordinary(
        "sql/money/0029_statements.sql",
        "netting_consents_one_in_force",
        "payments/outgoing/test_netting.py::test_a_consent_is_recorded_with_its_words_and_withdrawn_once",
    ),
    "index: a payout is owed twice": _ordinary(
        "sql/money/0012_outgoing.sql",
        "payouts_once",
        "payments/outgoing/test_netting.py::test_a_session_earns_once",
    ),
    "dedupe: an event notifies twice": _nothing(
        "sql/events/0014_notifications.sql",
        "notifications_once_per_event",
        "UNIQUE (event_id, user_id)",
        "notifications/test_notify.py::test_an_event_delivered_three_times_and_shuffled_is_told_once",
    ),
    "dedupe: an event is pushed twice": _nothing(
        "sql/events/0005_realtime.sql",
        "feed_once_per_event",
        "UNIQUE (event_id, type)",
        "events/feed/test_replay.py::test_a_repeated_event_is_pushed_once_and_an_unsent_one_again",
    ),
    "dedupe: an event of Stripe's is handled twice": Bug(
        "payments/webhooks.py",
        "ON CONFLICT (id) DO NOTHING",
        "ON CONFLICT (id) DO UPDATE SET received_at = clock_timestamp()",
        _INBOX + "test_an_event_that_comes_again_does_nothing",
    ),
    "dedupe: a grant counts twice": Bug(
        "payments/ledger/credits.py",
        'f"grant:{grant.key}"',
        "f\"grant:{grant.key}{__import__('uuid').uuid4()}\"",
        _CREDITS + "test_a_grant_counts_once_however_often_it_is_sent",
    ),
    "dedupe: a key does not tell whose it is": Bug(
        "sql/people/0002_people_and_intakes.sql",
        "PRIMARY KEY (user_id, key)",
        "PRIMARY KEY (user_id, key, intake_id)",
        "intake/test_idempotency.py::test_the_same_key_and_request_give_the_same_answer",
    ),
    # --- signatures
    "signature: any signature is right": Bug(
        "payments/stripe/signature.py",
        "if not any(hmac.compare_digest(mine, theirs) for mine in right for theirs in given):",
        "if not given:",
        _INBOX + "test_another_endpoints_secret_does_not_open_this_one",
    ),
    "signature: a key that everybody knows": Bug(
        "payments/stripe/signature.py",
        "return secret.startswith(_BEGINNING) and len(secret) >= len(_BEGINNING) + _SHORTEST",
        "return bool(secret)",
        _INBOX + "test_what_stripe_did_not_issue_signs_nothing",
    ),
    "signature: events of the other mode count": Bug(
        "payments/webhooks.py",
        "if event.livemode is not livemode:",
        "if False:",
        _INBOX + "test_another_mode_is_recorded_and_never_acted_on",
    ),
    # --- whose it is
    "owner: a receipt is everybody's": Bug(
        "documents/receipts.py",
        "(r.user_id = %(user_id)s OR %(any_customer)s)",
        "(r.user_id = %(user_id)s OR true)",
        "payments/documents/test_receipts.py::test_another_customers_receipt_does_not_exist",
    ),
    "owner: a session is everybody's": Bug(
        "sessions/active.py",
        "(%(any_session)s OR c.user_id = %(user_id)s OR m.user_id = %(user_id)s)",
        "(%(any_session)s OR c.user_id = %(user_id)s OR true)",
        "sessions/test_active.py::test_a_session_of_others_is_not_found",
    ),
    "owner: a history is everybody's": Bug(
        "sessions/active.py",
        "WHERE i.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = %(user_id)s)",
        "WHERE i.customer_id IN (SELECT c.id FROM customers c)",
        "sessions/test_active.py::test_a_history_is_ones_own",
    ),
    "owner: a quote is everybody's": Bug(
        "quotes/views.py",
        "AND (%(any_quote)s OR c.user_id = %(user_id)s",
        "AND (%(any_quote)s OR true",
        _QUOTES + "test_its_parties_and_nobody_else_see_it",
    ),
    "owner: any workshop names the amount": Bug(
        "quotes/quotes.py",
        " AND m.workshop_id = q.workshop_id",
        "",
        _QUOTES + "test_only_the_workshop_quotes_and_nobody_for_their_own_car",
    ),
    "owner: anybody decides on a quote": Bug(
        "quotes/quotes.py",
        "   AND s.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = %(user_id)s)\n",
        "",
        _QUOTES + "test_only_the_customer_decides",
    ),
    "owner: anybody signs": Bug(
        "intake/waiver.py",
        "     AND s.customer_id = (SELECT id FROM customers WHERE user_id = %(user_id)s)\n",
        "",
        "intake/test_waiver.py::test_nobody_signs_for_another",
    ),
    "owner: anybody gives a session back": Bug(
        "sessions/presence.py",
        "   AND mechanic_id = (SELECT id FROM mechanics WHERE user_id = %(user_id)s)\n",
        "",
        "sessions/test_presence.py::test_only_its_mechanic_releases_a_session",
    ),
    "owner: an intake is everybody's": Bug(
        "intake/card.py", " AND u.user_id = %(user_id)s", "", _CHECKOUT + "test_only_its_customer_sees_an_intake"
    ),
    "owner: anybody ends a browser's calls": Bug(
        "push/subscriptions.py",
        " AND user_id = %(user_id)s RETURNING id",
        " RETURNING id",
        "push/test_subscriptions.py::test_another_s_browser_cannot_be_ended",
    ),
    "owner: a limit is everybody's together": Bug(
        "intake/create.py",
        "AND count_against('intakes', %(user_id)s)",
        "AND count_against('intakes', '00000000-0000-0000-0000-000000000000')",
        "limits/test_limits.py::test_a_customer_starts_ten_sessions_at_once",
    ),
    # --- guards
    "guard: an erased customer asks again": Bug(
        "intake/create.py", f"     {_ERASED}\n", "", _INTAKE + "test_an_erased_customer_cannot_start_a_session"
    ),
    "guard: credits go below zero": _nothing(
        "sql/money/0010_ledger.sql",
        "credit_balances_not_negative",
        "CHECK (balance >= 0)",
        _CREDITS + "test_the_last_credit_is_spent_once_also_without_the_rule_of_one_session",
    ),
    "guard: what is held is sent": Bug(
        "sql/money/0013_payout_holds.sql",
        "  SELECT EXISTS (SELECT FROM payout_holds h WHERE h.payout_id = payout AND h.released_at IS NULL)\n      OR",
        "  SELECT",
        _HOLDS + "test_a_held_payout_is_sent_only_once_it_is_released",
    ),
    "guard: a new destination is paid at once": Bug(
        "sql/money/0013_payout_holds.sql",
        "a.destination_changed_at > now() - destination_hold())",
        "false)",
        _HOLDS + "test_another_destination_holds_what_is_owed_for_a_day",
    ),
    "guard: one row stops a sweep": Bug(
        "sql/sessions/0009_sweeps.sql",
        "    EXCEPTION WHEN OTHERS THEN\n",
        "    EXCEPTION WHEN division_by_zero THEN\n",
        "bounds/test_sweeps.py::test_rows_that_refuse_keep_no_others_from_being_swept",
    ),
    "guard: a sweep ends with its first batch": Bug(
        "sessions/expiry.py",
        "if not changed:",
        "if changed < BATCH:",
        "bounds/test_sweeps.py::test_rows_that_refuse_keep_no_others_from_being_swept",
    ),
    "guard: a signature that shows nothing": Bug(
        "web/schemas.py",
        "    if not is_visible(text):",
        "    if False:",
        "web/test_printable.py::test_what_shows_nothing_is_no_signature_name_or_concern",
    ),
    "guard: it is paid at once while it is disputed": Bug(
        "sql/money/0011_checkout.sql",
        "AND d.status IN ('needs_response', 'under_review'))\n$$",
        "AND false)\n$$",
        "payments/losses/test_disputed_packs.py::test_what_is_left_cannot_be_spent_until_it_is_won",
    ),
    "guard: words after the end": Bug(
        "sql/room/0020_room_acts.sql",
        "CASE WHEN is_terminal(party.status) THEN 'ended' WHEN party.status = 'scheduled'",
        "CASE WHEN party.status = 'scheduled'",
        "room/test_messages.py::test_after_the_end_the_room_is_read_only",
    ),
    # --- limits
    "limit: sessions": Bug(
        "intake/create.py",
        " AND count_against('intakes', %(user_id)s)",
        "",
        "limits/test_limits.py::test_a_customer_starts_ten_sessions_at_once",
    ),
    "limit: tickets": Bug(
        "events/feed/tickets.py",
        "WHERE count_against('tickets', %(user_id)s)",
        "WHERE true",
        "limits/test_limits.py::test_a_user_has_sixty_tickets_at_once",
    ),
    "limit: escalations": Bug(
        "quotes/quotes.py",
        "THEN count_against('escalations', %(user_id)s) ELSE",
        "THEN true ELSE",
        "quotes/test_rings.py::test_a_mechanic_escalates_so_often_a_day",
    ),
    "limit: consents": Bug(
        "payments/ledger/netting_consents.py",
        "   AND count_against('netting_consents', %(user_id)s)\n",
        "",
        "payments/outgoing/test_netting.py::test_nobody_agrees_without_end",
    ),
    "limit: messages": Bug(
        "sql/room/0020_room_acts.sql",
        "  PERFORM count_against('messages', by_user);\n",
        "",
        "limits/test_limits.py::test_every_limit_is_counted_and_documented",
    ),
    "limit: it never refuses": Bug(
        "sql/0001_foundation.sql",
        "   WHERE c.full_at + each <= latest;",
        "   WHERE true;",
        "limits/test_limits.py::test_so_many_at_once_and_then_one_after_the_other",
    ),
    "limit: it is everybody's together": Bug(
        "sql/0001_foundation.sql",
        "VALUES (by_user, limited, at + each)",
        "VALUES ('00000000-0000-0000-0000-000000000000', limited, at + each)",
        "limits/test_limits.py::test_a_limit_is_each_user_s_own",
    ),
    "limit: a page has no end in bytes": Bug(
        "web/paging.py",
        "MOST_BYTES: Final = 900_000",
        "MOST_BYTES: Final = 90_000_000",
        "bounds/test_lists.py::test_a_page_that_would_be_too_long_ends_earlier_and_the_next_one_goes_on",
    ),
    "limit: a timeline has no end": Bug(
        "sessions/evidence.py",
        "FROM session_events WHERE session_id = s.id ORDER BY id DESC LIMIT 500",
        "FROM session_events WHERE session_id = s.id",
        "bounds/test_lists.py::test_a_page_is_bounded_in_bytes_and_in_what_it_reads",
    ),
    "limit: a page has no end in entries": Bug(
        "web/paging.py",
        "MAX_LIMIT: Final = 100",
        "MAX_LIMIT: Final = 1000",
        "sessions/test_active.py::test_a_bad_limit_is_refused",
    ),
    "guard: a customer's words turn a terminal around": Bug(
        "printable.py",
        'frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})',
        'frozenset({"Cs"})',
        "web/test_printable.py::test_what_acts_on_a_terminal_or_the_direction_is_written_out",
    ),
    "guard: what was accepted a moment ago is an orphan": Bug(
        "sql/sessions/0009_sweeps.sql",
        "WHEN 'waiting' THEN session.accepted_at",
        "WHEN 'waiting' THEN session.created_at",
        "sessions/sweeps/test_expiry.py::test_what_was_accepted_a_moment_ago_is_no_orphan",
    ),
}
