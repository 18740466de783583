"""Two parties see and hear each other through the media server, and its events say when each was there."""

import asyncio
from uuid import uuid4

import httpx

from localcloud.media.caller import Caller
from localcloud.media.faults import WayFaults
from support.meetings.meeting_app import GIVEN, RULED, Document, MeetingApp
from support.wait import wait_until

type Pair = tuple[Document, Document, Document]


def pair(app: MeetingApp) -> Pair:
    """A meeting with a customer and a mechanic who may come."""
    meeting = app.meeting(uuid4().hex)
    return meeting, app.attendee(meeting, "customer"), app.attendee(meeting, "mechanic")


async def kinds(app: MeetingApp, meeting: Document, last: str) -> list[str]:
    """Wait for an event; returns all that the queue has got of the meeting by then."""
    await asyncio.to_thread(app.await_kind, meeting, last)
    return await asyncio.to_thread(app.kinds, meeting)


def test_both_get_the_sound_and_the_picture_of_the_other(app: MeetingApp) -> None:
    meeting, customer, mechanic = pair(app)

    async def talk() -> None:
        async with Caller(meeting, customer) as one, Caller(meeting, mechanic) as other:
            await asyncio.gather(one.hears(20, 5), other.hears(20, 5))
            await asyncio.gather(one.told("other"), other.told("other"))

    asyncio.run(talk())
    wait_until(lambda: app.kinds(meeting).count("AttendeeLeft") == 2)
    happened = app.kinds(meeting)
    assert happened[:3] == ["MeetingStarted", "AttendeeAdded", "AttendeeAdded"]
    assert sorted(happened[3:]) == sorted(
        2 * ["AttendeeJoined", "AttendeeVideoStarted", "AttendeeVideoStopped", "AttendeeLeft"]
    )
    app.chime.delete_meeting(MeetingId=meeting["MeetingId"])
    app.await_kind(meeting, "MeetingEnded")
    app.await_kind(meeting, "MeetingEnded", RULED)
    assert sorted(app.kinds(meeting, RULED)) == sorted(app.kinds(meeting))


def test_an_event_has_chimes_shape_on_both_ways(app: MeetingApp) -> None:
    meeting, customer, _ = pair(app)

    async def come() -> None:
        async with Caller(meeting, customer, video=False):
            await kinds(app, meeting, "AttendeeJoined")

    asyncio.run(come())
    app.await_kind(meeting, "AttendeeJoined", RULED)
    for queue in (GIVEN, RULED):
        (event,) = [each for each in app.read(queue) if is_joined(each, meeting)]
        moment = event["detail"].pop("timestamp")
        assert isinstance(moment, int)
        assert set(event) == {
            *("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
        }
        assert (event["source"], event["detail-type"]) == ("aws.chime", "Chime Meeting State Change")
        assert event["detail"] == {
            "version": "0",
            "eventType": "chime:AttendeeJoined",
            "meetingId": meeting["MeetingId"],
            "attendeeId": customer["AttendeeId"],
            "externalUserId": "customer",
            "networkType": "Voip",
            "externalMeetingId": meeting["ExternalMeetingId"],
            "mediaRegion": "eu-central-1",
        }


def is_joined(event: Document, meeting: Document) -> bool:
    detail = event["detail"]
    return bool(detail["eventType"] == "chime:AttendeeJoined" and detail["meetingId"] == meeting["MeetingId"])


def test_who_vanishes_was_dropped_and_the_other_is_told(app: MeetingApp) -> None:
    meeting, customer, mechanic = pair(app)

    async def vanish() -> list[float]:
        async with Caller(meeting, customer) as one, Caller(meeting, mechanic) as other:
            await one.hears()
            await other.vanish()
            await kinds(app, meeting, "AttendeeDropped")
            await one.told("other")
        stretches: list[float] = facts(app, meeting, "mechanic")["stretches"][0]
        return stretches

    came, gone = asyncio.run(vanish())
    assert gone - came >= 10
    assert "AttendeeLeft" not in app.kinds(meeting)[: app.kinds(meeting).index("AttendeeDropped")]


def facts(app: MeetingApp, meeting: Document, who: str) -> Document:
    """What `/_dev/meetings.json` says of an attendee."""
    for each in httpx.get(f"{app.cloud.api_url}/_dev/meetings.json").json()["meetings"]:
        if each["meetingId"] == meeting["MeetingId"]:
            found: Document = next(one for one in each["attendees"] if one["externalUserId"] == who)
            return found
    raise AssertionError(meeting["MeetingId"])


def test_a_second_device_takes_over_and_the_first_is_told(app: MeetingApp) -> None:
    meeting, customer, _ = pair(app)

    async def take_over() -> tuple[Document, list[str]]:
        async with Caller(meeting, customer) as phone:
            await kinds(app, meeting, "AttendeeVideoStarted")
            async with Caller(meeting, customer):
                told = await phone.told("end")
                return told, await kinds(app, meeting, "AttendeeAuthorized")

    told, happened = asyncio.run(take_over())
    assert told == {"type": "end", "why": "elsewhere"}
    assert happened.count("AttendeeJoined") == 1
    assert not {"AttendeeLeft", "AttendeeDropped"} & set(happened[: happened.index("AttendeeAuthorized")])


def test_the_end_of_the_meeting_is_told_to_who_is_there_and_nobody_comes_any_more(app: MeetingApp) -> None:
    meeting, customer, mechanic = pair(app)

    async def end() -> None:
        async with Caller(meeting, customer) as one:
            await kinds(app, meeting, "AttendeeJoined")
            await asyncio.to_thread(app.chime.delete_meeting, MeetingId=meeting["MeetingId"])
            assert await one.told("end") == {"type": "end", "why": "ended"}
        async with Caller(meeting, mechanic) as late:
            assert await late.told("end") == {"type": "end", "why": "refused"}

    asyncio.run(end())
    happened = [each for each in app.kinds(meeting) if "Video" not in each]
    assert happened[-2:] == ["AttendeeJoined", "MeetingEnded"]


def test_the_page_cuts_a_connection_and_sets_faults(app: MeetingApp) -> None:
    meeting, customer, _ = pair(app)
    page = f"{app.cloud.api_url}/_dev/meetings"
    origin = {"Origin": app.cloud.api_url}

    async def cut() -> None:
        async with Caller(meeting, customer) as one:
            await kinds(app, meeting, "AttendeeJoined")
            async with httpx.AsyncClient(headers=origin) as http:
                assert (await http.get(page)).text.count("Cut") == 1
                answer = await http.post(f"{page}/cut/{customer['AttendeeId']}")
            assert answer.status_code == 303
            await kinds(app, meeting, "AttendeeDropped")
            assert one.said[-1]["type"] == "joined"

    asyncio.run(cut())
    fields = {"lost": "1", "copies": "1", "delay": "0"}
    assert httpx.post(f"{page}/faults/queue", data=fields).status_code == 403
    assert httpx.post(f"{page}/faults/queue", data={**fields, "lost": "2"}, headers=origin).status_code == 400
    assert httpx.post(f"{page}/faults/queue", data=fields, headers=origin).status_code == 303
    app.chime.delete_meeting(MeetingId=meeting["MeetingId"])
    app.await_kind(meeting, "MeetingEnded", RULED)
    assert "MeetingEnded" not in app.kinds(meeting)
    assert httpx.post(f"{page}/faults/queue", data={**fields, "lost": "0"}, headers=origin).status_code == 303


def test_events_may_be_repeated_late_and_out_of_order(app: MeetingApp) -> None:
    app.cloud.meeting_faults.change("queue", WayFaults(copies=3, delay_seconds=0.5, order="mixed"))
    meeting, _customer, _mechanic = pair(app)
    app.chime.delete_meeting(MeetingId=meeting["MeetingId"])
    app.cloud.meeting_faults.change("queue", WayFaults())
    wait_until(lambda: len(app.kinds(meeting)) == 12)
    assert sorted(set(app.kinds(meeting))) == ["AttendeeAdded", "MeetingEnded", "MeetingStarted"]
    assert app.kinds(meeting, RULED) == ["MeetingStarted", "AttendeeAdded", "AttendeeAdded", "MeetingEnded"]


def test_who_was_cut_and_comes_back_at_once_was_dropped_in_between(app: MeetingApp) -> None:
    meeting, customer, mechanic = pair(app)

    async def come_back() -> None:
        async with Caller(meeting, mechanic) as other:
            async with Caller(meeting, customer) as one:
                await one.hears()
                url = f"{app.cloud.api_url}/_dev/meetings/cut/{customer['AttendeeId']}"
                async with httpx.AsyncClient(headers={"Origin": app.cloud.api_url}) as http:
                    assert (await http.post(url)).status_code == 303
            async with Caller(meeting, customer) as again:
                await asyncio.gather(again.hears(), other.hears())

    asyncio.run(come_back())
    wait_until(lambda: app.kinds(meeting).count("AttendeeLeft") == 2)
    details = [each["detail"] for each in app.read(GIVEN) if each["detail"]["meetingId"] == meeting["MeetingId"]]
    came = [each["eventType"] for each in details if each.get("attendeeId") == customer["AttendeeId"]]
    assert [each.removeprefix("chime:Attendee") for each in came if "Video" not in each] == [
        *("Added", "Joined", "Dropped", "Joined", "Left")
    ]
