"""Attachments: whose they are, and whether the sweep and the malware scan do their work.

The present is read by the partial indexes of what is open; what belongs to a session, with the window of sessions.
"""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import psycopg

from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.now import Query, findings_of

UPLOAD_LATE: Final = Check(
    "upload_late", Section.FILES, "promised, and its upload is an hour late: no sweep gave it up"
)
UNSCANNED: Final = Check("file_unscanned", Section.FILES, "uploaded more than an hour ago, and not scanned")
NOT_REMOVED: Final = Check(
    "file_not_removed", Section.FILES, "refused, too old or erased more than an hour ago, and still in the bucket"
)
TOO_OLD: Final = Check("file_too_old", Section.FILES, "past the time for which files are kept: no sweep took it")
WORDS_TOO_OLD: Final = Check(
    "words_too_old", Section.FILES, "messages past the time for which words are kept: no sweep took them"
)
STRANGERS: Final = Check("file_of_a_stranger", Section.FILES, "sent by somebody who never took part in its session")
OTHER_ROOM: Final = Check(
    "file_of_another_room", Section.FILES, "shown by a message of another session, or of another party"
)
OF_ERASED: Final = Check("file_of_erased", Section.FILES, "kept although its customer was erased")
ARCHIVE_OF_ERASED: Final = Check(
    "archive_of_erased", Section.FILES, "old rows of a customer who was erased still have their content"
)

# The sweep runs every minute, and begins fifteen after a form has expired.
_NOW: Final[tuple[Query, ...]] = (
    (
        UPLOAD_LATE,
        """
SELECT id, format('promised until %s', expires_at) FROM attachments
 WHERE state = 'promised' AND expires_at < now() - interval '1 hour'
""",
    ),
    (
        UNSCANNED,
        """
SELECT id, format('here since %s', state_since) FROM attachments
 WHERE state = 'scanning' AND state_since < now() - interval '1 hour'
""",
    ),
    (
        NOT_REMOVED,
        """
SELECT id, format('%s since %s', state, state_since) FROM attachments
 WHERE removed_at IS NULL AND state IN ('refused', 'gone') AND state_since < now() - interval '1 hour'
""",
    ),
    (
        TOO_OLD,
        """
SELECT a.id, format('%s, promised at %s', a.state, a.created_at) FROM attachments a
 WHERE a.state <> 'gone' AND a.session_id IS NULL AND a.created_at < now() - interval '25 hours'
UNION ALL
SELECT a.id, format('%s, promised at %s', a.state, a.created_at) FROM attachments a
 WHERE a.state <> 'gone' AND a.session_id IS NOT NULL AND a.created_at < now() - files_kept_for() - interval '1 hour'
   AND attachment_is_old(a)
""",
    ),
    (ARCHIVE_OF_ERASED, "SELECT user_id, format('%s of %s', rows, table_name) FROM legacy_rows_to_forget()"),
)
_OF_SESSIONS: Final[tuple[Query, ...]] = (
    (
        WORDS_TOO_OLD,
        """
SELECT s.id, format('ended at %%s', s.ended_at) FROM sessions s
 WHERE s.id > %(after)s AND s.id <= %(upto)s
   AND s.ended_at < (SELECT now() - messages_kept_for() - interval '1 hour')
   AND EXISTS (SELECT FROM session_messages t
                WHERE t.session_id = s.id AND t.text <> '' AND (t.role <> 'system' OR t.note = 'operator'))
""",
    ),
    (
        STRANGERS,
        """
SELECT a.session_id, format('attachment %%s of a %%s', a.id, a.role)
  FROM attachments a
  JOIN intakes i ON i.id = a.session_id
  JOIN customers c ON c.id = i.customer_id
  LEFT JOIN mechanics m ON m.id = a.mechanic_id
 WHERE a.session_id > %(after)s AND a.session_id <= %(upto)s
   AND CASE a.role
         WHEN 'customer' THEN a.user_id <> c.user_id
         ELSE a.user_id IS DISTINCT FROM m.user_id OR NOT EXISTS (
                SELECT FROM session_participants p WHERE p.session_id = a.session_id AND p.mechanic_id = a.mechanic_id)
       END
""",
    ),
    (
        OTHER_ROOM,
        """
SELECT t.session_id, format('message %%s, attachment %%s', t.seq, t.attachment_id)
  FROM session_messages t
  LEFT JOIN attachments a ON a.id = t.attachment_id
 WHERE t.session_id > %(after)s AND t.session_id <= %(upto)s AND t.attachment_id IS NOT NULL
   AND (a.session_id = t.session_id AND a.role = t.role
        AND a.mechanic_id IS NOT DISTINCT FROM t.mechanic_id) IS NOT TRUE
""",
    ),
    (
        OF_ERASED,
        """
SELECT a.session_id, format('attachment %%s is %%s', a.id, a.state)
  FROM attachments a JOIN intakes i ON i.id = a.session_id JOIN customers c ON c.id = i.customer_id
 WHERE a.session_id > %(after)s AND a.session_id <= %(upto)s AND c.erased_at IS NOT NULL AND a.state <> 'gone'
""",
    ),
)
NOW: Final = tuple(check for check, _ in _NOW)
OF_SESSIONS: Final = tuple(check for check, _ in _OF_SESSIONS)
CHECKS: Final = (*NOW, *OF_SESSIONS)


def check_now(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Check what is awaited, and what should be gone.

    Args:
        connection: in a transaction with one snapshot.
    """
    yield from findings_of(connection, _NOW)


def check(connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> Iterator[Finding]:
    """Check the files of the sessions after one id and up to another, in the snapshot of the transaction."""
    yield from findings_of(connection, _OF_SESSIONS, after=after, upto=upto)
