"""The corruptions of rooms and of the files in them; see corruptions.py."""

from typing import Final

_NOW: Final = "clock_timestamp()"
_A_DAY_AGO: Final = "clock_timestamp() - interval '1 day'"

ROOMS: Final[dict[str, list[tuple[str, ...]]]] = {
    # --- files
    "upload_late": [(f"UPDATE attachments SET expires_at = {_A_DAY_AGO} WHERE state = 'promised'",)],
    "file_unscanned": [(f"UPDATE attachments SET state_since = {_A_DAY_AGO} WHERE state = 'scanning'",)],
    "file_not_removed": [
        (f"UPDATE attachments SET removed_at = NULL, state_since = {_A_DAY_AGO} WHERE state = 'refused'",),
    ],
    "file_too_old": [
        (f"UPDATE attachments SET created_at = {_A_DAY_AGO} - interval '2 hours' WHERE session_id IS NULL",),
        (
            "UPDATE attachments SET created_at = '2020-01-01' WHERE session_id = '{with files}'",
            "UPDATE sessions SET ended_at = '2020-01-02' WHERE id = '{with files}'",
        ),
    ],
    "words_too_old": [
        (
            "INSERT INTO settings (key, value) VALUES ('retain_messages_days', '1')",
            f"UPDATE sessions SET ended_at = {_A_DAY_AGO} - interval '2 hours' WHERE id = '{{talked}}'",
        ),
    ],
    "file_of_a_stranger": [
        ("UPDATE attachments SET user_id = new_id() WHERE session_id = '{with files}' AND role = 'customer'",),
        ("UPDATE attachments SET session_id = '{live}' WHERE session_id = '{with files}' AND role = 'mechanic'",),
    ],
    "file_of_another_room": [
        ("UPDATE attachments SET session_id = '{live}' WHERE session_id = '{with files}'",),
        ("UPDATE session_messages SET attachment_id = new_id() WHERE attachment_id IS NOT NULL",),
    ],
    "file_of_erased": [
        (
            (
                "UPDATE customers SET erased_at = now() WHERE id ="
                " (SELECT customer_id FROM intakes WHERE id = '{with files}')"
            ),
        ),
    ],
    "archive_of_erased": [
        (
            "UPDATE customers SET erased_at = now() WHERE id = (SELECT customer_id FROM intakes WHERE id = '{talked}')",
            (
                "INSERT INTO legacy_rows (table_name, row_key, import_id, became, session_id, content)"
                " VALUES ('chat_messages', 'a', new_id(), 'part', '{talked}', '{{\"content\": \"It squeals\"}}')"
            ),
        ),
    ],
    # --- rooms
    "room_missing": [
        ("DELETE FROM rooms WHERE session_id = '{queued}'",),
        ("INSERT INTO rooms (session_id) VALUES (new_id())",),
        ("DELETE FROM rooms WHERE session_id = '{talked}'",),
    ],
    "message_gap": [
        ("DELETE FROM session_messages WHERE session_id = '{talked}' AND seq = 2",),
        ("UPDATE rooms SET latest = latest + 1 WHERE session_id = '{queued}'",),
        ("UPDATE session_messages SET seq = 999 WHERE session_id = '{talked}' AND seq = 1",),
    ],
    "room_miscounted": [
        ("UPDATE rooms SET customer_written = customer_written - 1 WHERE session_id = '{talked}'",),
        ("UPDATE rooms SET mechanic_written = mechanic_written + 1 WHERE session_id = '{talked}'",),
    ],
    "read_beyond": [
        ("UPDATE rooms SET customer_read = latest + 1 WHERE session_id = '{talked}'",),
        ("UPDATE rooms SET mechanic_read = -1 WHERE session_id = '{talked}'",),
    ],
    "message_of_a_stranger": [
        (
            "INSERT INTO mechanics (user_id, name) VALUES (new_id(), 'Eve')",
            (
                "UPDATE session_messages SET mechanic_id = (SELECT id FROM mechanics WHERE name = 'Eve' LIMIT 1)"
                " WHERE session_id = '{talked}' AND role = 'mechanic'"
            ),
        ),
        (f"UPDATE session_messages SET at = {_A_DAY_AGO} WHERE session_id = '{{talked}}' AND role = 'mechanic'",),
    ],
    "message_after_the_end": [
        (
            (
                f"UPDATE session_messages SET at = {_NOW} + interval '9 s'"
                " WHERE session_id = '{talked}' AND role = 'customer'"
            ),
        ),
    ],
}
