"""Amazon Chime SDK meetings, signed by ourselves like every call that a customer waits for (DECISIONS.md#d62).

The API: docs.aws.amazon.com/chime-sdk/latest/APIReference, "CreateMeeting", "CreateAttendee" and "DeleteMeeting", a
REST protocol of JSON; botocore's model `chime-sdk-meetings` says the same, and its variable for another endpoint is
ours. Only ids go there: the session, and the row of a participant.
"""

import json
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from autodoctor.aws.client import AwsConnection, endpoint
from autodoctor.aws.errors import ServiceRefused
from autodoctor.settings import required

TIMEOUT_SECONDS: Final = 5.0


class MeetingGone(Exception):
    """The meeting is over: deleted, or ended by Chime after some minutes without anybody."""


class _Chime:
    """Opens meetings, over one kept connection; every method raises AwsError where Chime refuses or does not answer."""

    def __init__(self) -> None:
        self._region = required("MEDIA_REGION")
        self._queue_arn = required("MEETINGS_QUEUE_ARN")

    def open(self, session_id: UUID, token: str) -> dict[str, Any]:
        """The meeting of this token, which is made by the first call and the same for every other.

        Args:
            session_id: whose meeting it is.
            token: 2 to 64 letters, digits, hyphens and underscores.
        """
        body: dict[str, object] = {
            "ClientRequestToken": token,
            "MediaRegion": self._region,
            "ExternalMeetingId": str(session_id),
            "NotificationsConfiguration": {"SqsQueueArn": self._queue_arn},
        }
        meeting: dict[str, Any] = self._send("CreateMeeting", "POST", "/meetings", body)["Meeting"]
        return meeting

    def close_connection(self) -> None:
        """Close the kept connection; the next call opens a new one."""
        self._connection.close()

    @cached_property
    def _connection(self) -> AwsConnection:
        return AwsConnection("chime", endpoint("CHIME_SDK_MEETINGS", "meetings-chime"))

    def _send(self, action: str, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = self._connection.send(method, path, sent, headers, timeout_seconds=TIMEOUT_SECONDS)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise MeetingGone
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
            raise ServiceRefused("chime", action, answer.status)
        found: dict[str, Any] = json.loads(answer.body or b"{}")
        return found


class ChimeEntrance(_Chime):
    """Opens meetings, and lets participants in.

    Raises:
        SettingMissing: the deployment names no region for media, or no queue.
    """

    def admit(self, meeting_id: str, participant_id: UUID) -> dict[str, Any]:
        """Let a participant in: the attendee, with the token that its page joins by; again, the same attendee.

        Raises:
            MeetingGone: it is over.
        """
        body: dict[str, object] = {"ExternalUserId": str(participant_id)}
        path = f"/meetings/{meeting_id}/attendees"
        attendee: dict[str, Any] = self._send("CreateAttendee", "POST", path, body)["Attendee"]
        return attendee


class ChimeExit(_Chime):
    """Closes meetings; also one whose opening was cut short, which it has to open again to know.

    Raises:
        SettingMissing: the deployment names no region for media, or no queue.
    """

    def close(self, meeting_id: str) -> None:
        """Close a meeting, which puts everybody out; one that is over counts as closed."""
        with suppress(MeetingGone):
            self._send("DeleteMeeting", "DELETE", f"/meetings/{meeting_id}")
