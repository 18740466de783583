"""Chime SDK Meetings over HTTP: REST with JSON, routes and checks by botocore's model of the service.

What it does not have (transcription, tags, capabilities that change) is refused, so that nothing seems to work here
that was never tried. A request must carry a signature of version 4 for `chime`, by any key.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from aiohttp import web

from localcloud.media.meetings import MOST_ATTENDEES, Attendee, LimitExceeded, Meeting, Meetings
from localcloud.media.service_model import call_of, faults_of, status_of
from localcloud.services.aws_api import AwsError, check_signature, read_body
from localcloud.services.causes import noted
from localcloud.stack.cloudformation import ACCOUNT, REGION
from localcloud.stack.events import queue_named_by

PREFIX: Final = "/_aws/chime"
_PAGE: Final = 25
REGIONS: Final = frozenset(
    {
        *("af-south-1", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
        *("ca-central-1", "eu-central-1", "eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    }
)

type Document = Mapping[str, object]


class ChimeError(Exception):
    """The service refuses; `name` is the error in its model."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class MeetingsApi:
    """The operations, one method each, over these meetings.

    Args:
        meetings: what they are about.
        queues: the names of the account's queues.
        base_url: where attendees connect, an HTTP origin.
        gone: told which attendee is not admitted any more; all of the meeting where none is named.
    """

    def __init__(
        self,
        meetings: Meetings,
        queues: Sequence[str],
        base_url: str,
        gone: Callable[[Meeting, Attendee | None], None],
    ) -> None:
        self._meetings = meetings
        self._queues = frozenset(queues)
        self._sockets = base_url.replace("http://", "ws://", 1)
        self._gone = gone
        self._tokens: dict[str, Meeting] = {}
        self._operations: Mapping[str, Callable[[Document], Document | None]] = {
            "BatchCreateAttendee": self.batch_create_attendee,
            "CreateAttendee": self.create_attendee,
            "CreateMeeting": self.create_meeting,
            "CreateMeetingWithAttendees": self.create_meeting_with_attendees,
            "DeleteAttendee": self.delete_attendee,
            "DeleteMeeting": self.delete_meeting,
            "GetAttendee": self.get_attendee,
            "GetMeeting": self.get_meeting,
            "ListAttendees": self.list_attendees,
        }

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as Chime would."""
        noted(request.headers)
        request_id = str(uuid.uuid4())
        try:
            answer = await self._answer(request)
        except ChimeError as refused:
            return _refusal(refused.name, status_of(refused.name), str(refused), request_id)
        except AwsError as unsigned:
            return _refusal("UnauthorizedException", unsigned.status, str(unsigned), request_id)
        headers = {"x-amzn-RequestId": request_id}
        if answer is None:
            return web.Response(status=204, headers=headers)
        return web.json_response(answer, headers=headers)

    async def _answer(self, request: web.BaseRequest) -> Document | None:
        check_signature(request, "chime")
        call = call_of(request.method, request.path.removeprefix(PREFIX), request.query)
        if call is None or call.operation not in self._operations:
            name = call.operation if call else f"{request.method} {request.path.removeprefix(PREFIX)}"
            raise ChimeError("BadRequestException", f"{name} is not known here.")
        parameters = {**_body(await read_body(request)), **call.given}
        if faults := faults_of(call.operation, parameters):
            count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
            raise ChimeError("BadRequestException", f"{count}: {'; '.join(faults)}")
        return self._operations[call.operation](parameters)

    def create_meeting(self, given: Document) -> Document:
        """Open a meeting; the same token again gives the same one."""
        return {"Meeting": self._described(self._opened(given))}

    def create_meeting_with_attendees(self, given: Document) -> Document:
        """Open a meeting and admit people to it."""
        meeting = self._opened(given)
        admitted = self.batch_create_attendee({**given, "MeetingId": meeting.meeting_id})
        return {"Meeting": self._described(meeting), **admitted}

    def get_meeting(self, given: Document) -> Document:
        """Describe a meeting that has not ended."""
        return {"Meeting": self._described(self._meeting(given))}

    def delete_meeting(self, given: Document) -> None:
        """End a meeting; one that has ended, or never was, is ended already."""
        meeting = self._meetings.find(str(given["MeetingId"]))
        if meeting is not None:
            self._gone(meeting, None)
            self._meetings.end(meeting, time.time())

    def create_attendee(self, given: Document) -> Document:
        """Admit somebody."""
        return {"Attendee": _attendee(self._admitted(self._meeting(given), given))}

    def batch_create_attendee(self, given: Document) -> Document:
        """Admit several."""
        meeting, admitted, errors = self._meeting(given), [], []
        for each in cast("list[Document]", given["Attendees"]):
            try:
                admitted.append(_attendee(self._admitted(meeting, each)))
            except ChimeError as refused:
                reason = {"ErrorCode": refused.name, "ErrorMessage": str(refused)}
                errors.append({"ExternalUserId": each["ExternalUserId"], **reason})
        return {"Attendees": admitted, "Errors": errors}

    def get_attendee(self, given: Document) -> Document:
        """Describe somebody who was admitted."""
        return {"Attendee": _attendee(self._attendee(given)[1])}

    def list_attendees(self, given: Document) -> Document:
        """List who was admitted, which does not say who is there."""
        attendees = list(self._meeting(given).attendees.values())
        most, token = cast("int", given.get("MaxResults", _PAGE)), str(given.get("NextToken", "0"))
        if not token.isdecimal() or int(token) > len(attendees):
            raise ChimeError("BadRequestException", "NextToken is invalid.")
        until = int(token) + most
        more = {"NextToken": str(until)} if until < len(attendees) else {}
        return {"Attendees": [_attendee(each) for each in attendees[int(token) : until]], **more}

    def delete_attendee(self, given: Document) -> None:
        """Take somebody away, who is disconnected."""
        meeting, attendee = self._attendee(given)
        self._gone(meeting, attendee)
        self._meetings.delete(meeting, attendee, time.time())

    def _opened(self, given: Document) -> Meeting:
        token, asked = str(given["ClientRequestToken"]), _without(given, "Attendees")
        earlier = self._tokens.get(token)
        if earlier is not None:
            if earlier.asked != asked or earlier.ended_at is not None:
                raise ChimeError("ConflictException", "The request token was used for another meeting.")
            return earlier
        if given["MediaRegion"] not in REGIONS:
            raise ChimeError("BadRequestException", f"MediaRegion {given['MediaRegion']} is not a region of meetings.")
        meeting = Meeting(
            external_id=str(given["ExternalMeetingId"]),
            region=str(given["MediaRegion"]),
            created_at=time.time(),
            queue=self._queue(given),
            asked=asked,
            most=_most(given),
        )
        try:
            self._meetings.open(meeting)
        except LimitExceeded as limit:
            raise ChimeError("LimitExceededException", str(limit)) from limit
        self._tokens[token] = meeting
        return meeting

    def _queue(self, given: Document) -> str | None:
        ways = cast("Document", given.get("NotificationsConfiguration") or {})
        if set(ways) - {"SqsQueueArn"}:
            raise ChimeError("BadRequestException", "Only a queue gets a meeting's events here.")
        if "SqsQueueArn" not in ways:
            return None
        name = queue_named_by(str(ways["SqsQueueArn"]))
        if name not in self._queues:
            raise ChimeError("BadRequestException", f"The queue {ways['SqsQueueArn']} does not exist.")
        return name

    def _admitted(self, meeting: Meeting, given: Document) -> Attendee:
        attendee = Attendee(str(given["ExternalUserId"]), cast("Mapping[str, str] | None", given.get("Capabilities")))
        try:
            self._meetings.admit(meeting, attendee, time.time())
        except LimitExceeded as limit:
            raise ChimeError("LimitExceededException", str(limit)) from limit
        return attendee

    def _meeting(self, given: Document) -> Meeting:
        meeting = self._meetings.find(str(given["MeetingId"]))
        if meeting is None:
            raise ChimeError("NotFoundException", f"Meeting {given['MeetingId']} not found.")
        return meeting

    def _attendee(self, given: Document) -> tuple[Meeting, Attendee]:
        meeting = self._meeting(given)
        attendee = meeting.attendees.get(str(given["AttendeeId"]))
        if attendee is None:
            raise ChimeError("NotFoundException", f"Attendee {given['AttendeeId']} not found.")
        return meeting, attendee

    def _described(self, meeting: Meeting) -> Document:
        here = f"{self._sockets}{PREFIX}"
        kept = ("MeetingHostId", "MeetingFeatures", "PrimaryMeetingId", "TenantIds")
        return {
            "MeetingId": meeting.meeting_id,
            "ExternalMeetingId": meeting.external_id,
            "MediaRegion": meeting.region,
            "MediaPlacement": {
                "AudioHostUrl": f"{here}/audio/{meeting.meeting_id}",
                "AudioFallbackUrl": f"{here}/audio/{meeting.meeting_id}",
                "SignalingUrl": f"{here}/control/{meeting.meeting_id}",
                "TurnControlUrl": f"{here}/turn/{meeting.meeting_id}",
            },
            "MeetingArn": f"arn:aws:chime:{REGION}:{ACCOUNT}:meeting/{meeting.meeting_id}",
            **{name: meeting.asked[name] for name in kept if name in meeting.asked},
        }


def _most(given: Document) -> int:
    features = cast("Mapping[str, Mapping[str, int]]", given.get("MeetingFeatures") or {})
    return features.get("Attendee", {}).get("MaxCount", MOST_ATTENDEES)


def _attendee(attendee: Attendee) -> Document:
    everything = dict.fromkeys(("Audio", "Video", "Content"), "SendReceive")
    return {
        "ExternalUserId": attendee.external_id,
        "AttendeeId": attendee.attendee_id,
        "JoinToken": attendee.join_token,
        "Capabilities": attendee.capabilities or everything,
    }


def _without(given: Document, name: str) -> Document:
    return {key: value for key, value in given.items() if key != name}


def _body(content: bytes) -> Document:
    try:
        parsed = json.loads(content or b"{}")
    except ValueError as error:
        raise ChimeError("BadRequestException", "The request is not JSON.") from error
    if not isinstance(parsed, dict):
        raise ChimeError("BadRequestException", "The request is not a JSON object.")
    return parsed


def _refusal(name: str, status: int, message: str, request_id: str) -> web.Response:
    code = name.removesuffix("Exception")
    return web.json_response(
        {"Code": code, "Message": message, "RequestId": request_id},
        status=status,
        headers={"x-amzn-ErrorType": name, "x-amzn-RequestId": request_id},
    )
