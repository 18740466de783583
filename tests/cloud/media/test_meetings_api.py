"""Chime's API answers boto3 as its model says, also where it refuses."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from botocore.exceptions import ClientError

from localcloud.media.service_model import faults_of
from support.meetings.meeting_app import MeetingApp

NOBODY = "12345678-1234-1234-1234-123456789012"


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """The status, the error's name and the words of a call that is refused."""
    with pytest.raises(ClientError) as refused:
        call()
    error: Any = refused.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


def test_a_meeting_is_opened_found_and_deleted(app: MeetingApp) -> None:
    meeting = app.meeting(uuid4().hex, MeetingFeatures={"Video": {"MaxResolution": "HD"}})
    assert str(UUID(meeting["MeetingId"])) == meeting["MeetingId"]
    assert meeting["MediaRegion"] == "eu-central-1"
    assert meeting["MeetingFeatures"] == {"Video": {"MaxResolution": "HD"}}
    assert meeting["MediaPlacement"]["SignalingUrl"].startswith(app.cloud.api_url.replace("http", "ws"))
    assert app.chime.get_meeting(MeetingId=meeting["MeetingId"])["Meeting"] == meeting
    answer = app.chime.delete_meeting(MeetingId=meeting["MeetingId"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    app.chime.delete_meeting(MeetingId=meeting["MeetingId"])
    gone = refusal(lambda: app.chime.get_meeting(MeetingId=meeting["MeetingId"]))
    assert gone == (404, "NotFoundException", f"Meeting {meeting['MeetingId']} not found.")


def test_the_same_token_opens_one_meeting(app: MeetingApp) -> None:
    token = uuid4().hex
    meeting = app.meeting(token)
    assert app.meeting(token) == meeting
    assert refusal(lambda: app.meeting(token, ExternalMeetingId="another"))[:2] == (409, "ConflictException")
    app.chime.delete_meeting(MeetingId=meeting["MeetingId"])
    assert refusal(lambda: app.meeting(token))[:2] == (409, "ConflictException")


def test_attendees_are_admitted_listed_and_deleted(app: MeetingApp) -> None:
    meeting = app.meeting(uuid4().hex)["MeetingId"]
    admitted = [
        app.chime.create_attendee(MeetingId=meeting, ExternalUserId=f"user-{number}")["Attendee"] for number in range(3)
    ]
    assert len({each["JoinToken"] for each in admitted}) == 3
    assert admitted[0]["Capabilities"] == {"Audio": "SendReceive", "Video": "SendReceive", "Content": "SendReceive"}
    first = app.chime.list_attendees(MeetingId=meeting, MaxResults=2)
    rest = app.chime.list_attendees(MeetingId=meeting, MaxResults=2, NextToken=first["NextToken"])
    assert [*first["Attendees"], *rest["Attendees"]] == admitted
    assert "NextToken" not in rest
    gone = admitted[1]["AttendeeId"]
    assert app.chime.get_attendee(MeetingId=meeting, AttendeeId=gone)["Attendee"] == admitted[1]
    app.chime.delete_attendee(MeetingId=meeting, AttendeeId=gone)
    found = refusal(lambda: app.chime.get_attendee(MeetingId=meeting, AttendeeId=gone))
    assert found[:2] == (404, "NotFoundException")


def test_a_meeting_takes_as_many_as_it_was_opened_for(app: MeetingApp) -> None:
    answer = app.chime.create_meeting_with_attendees(
        ClientRequestToken=uuid4().hex,
        MediaRegion="eu-central-1",
        ExternalMeetingId="small",
        MeetingFeatures={"Attendee": {"MaxCount": 2}},
        Attendees=[{"ExternalUserId": f"user-{number}"} for number in range(3)],
    )
    assert [each["ExternalUserId"] for each in answer["Attendees"]] == ["user-0", "user-1"]
    assert [each["ErrorCode"] for each in answer["Errors"]] == ["LimitExceededException"]
    meeting = answer["Meeting"]["MeetingId"]
    full = refusal(lambda: app.chime.create_attendee(MeetingId=meeting, ExternalUserId="late"))
    assert full[:2] == (400, "LimitExceededException")


def test_what_the_model_does_not_allow_is_refused(app: MeetingApp) -> None:
    good = {"ClientRequestToken": "token", "MediaRegion": "eu-central-1", "ExternalMeetingId": "session"}
    assert faults_of("CreateMeeting", good) == []
    (fault,) = faults_of("CreateMeeting", {**good, "ClientRequestToken": "a b"})
    assert fault.startswith("Value at 'clientRequestToken' failed to satisfy constraint: Member must satisfy regular")
    assert faults_of("CreateMeeting", {**good, "ExternalMeetingId": "x" * 65}) == [
        "Value at 'externalMeetingId' failed to satisfy constraint: Member must have length less than or equal to 64"
    ]
    assert faults_of("CreateMeeting", {"ClientRequestToken": "token", "MediaRegion": 5}) == [
        "Value at 'mediaRegion' failed to satisfy constraint: Member must be a string",
        "Value null at 'externalMeetingId' failed to satisfy constraint: Member must not be null",
    ]
    assert len(faults_of("CreateMeeting", {**good, "MeetingFeatures": {"Attendee": {"MaxCount": 251}}})) == 1
    assert len(faults_of("CreateMeeting", {**good, "MediaPlacementNetworkType": "Ipv5"})) == 1
    assert refusal(lambda: app.meeting("a.b"))[:2] == (400, "BadRequestException")


@pytest.mark.parametrize(
    "wrong",
    [
        {"MediaRegion": "moon-central-1"},
        {"NotificationsConfiguration": {"SqsQueueArn": "arn:aws:sqs:eu-central-1:123456789012:Missing"}},
        {"NotificationsConfiguration": {"SnsTopicArn": "arn:aws:sns:eu-central-1:123456789012:Topic"}},
    ],
    ids=["region", "queue", "topic"],
)
def test_a_meeting_needs_a_region_and_a_queue_that_there_are(app: MeetingApp, wrong: dict[str, object]) -> None:
    assert refusal(lambda: app.meeting(uuid4().hex, **wrong))[:2] == (400, "BadRequestException")


def test_nobody_is_admitted_to_a_meeting_that_is_not(app: MeetingApp) -> None:
    found = refusal(lambda: app.chime.create_attendee(MeetingId=NOBODY, ExternalUserId="user"))
    assert found[:2] == (404, "NotFoundException")


def test_a_request_without_a_signature_is_refused(app: MeetingApp) -> None:
    answer = httpx.get(f"{app.cloud.api_url}/_aws/chime/meetings/{NOBODY}")
    assert (answer.status_code, answer.json()["Code"]) == (403, "Unauthorized")


def test_an_operation_that_is_not_here_says_so(app: MeetingApp) -> None:
    found = refusal(lambda: app.chime.stop_meeting_transcription(MeetingId=NOBODY))
    assert found == (400, "BadRequestException", "StopMeetingTranscription is not known here.")
