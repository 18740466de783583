"""A service of meetings, and the environment that leads to it."""

from collections.abc import Iterator

import pytest

from autodoctor.ids import new_id
from autodoctor.media.chime import ChimeEntrance, ChimeExit
from autodoctor.observability import metrics
from support.meetings.call_case import CallCase
from support.meetings.meeting_service import MeetingService
from support.world import World

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:meetings"


@pytest.fixture
def chime(monkeypatch: pytest.MonkeyPatch) -> Iterator[MeetingService]:
    """The service that the layer's Chime reaches."""
    service = MeetingService()
    settings = {
        "MEDIA_REGION": "eu-central-1",
        "MEETINGS_QUEUE_ARN": QUEUE,
        "AWS_ENDPOINT_URL_CHIME_SDK_MEETINGS": service.url,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(metrics, "namespace", "AutoDoctor")
    with service.serving():
        yield service


@pytest.fixture
def case(world: World, chime: MeetingService) -> Iterator[CallCase]:
    customer, mechanic = new_id(), world.mechanic()
    session_id = world.waiting(mechanic, customer).session_id
    entrance, way_out = ChimeEntrance(), ChimeExit()
    yield CallCase(world, chime, entrance, way_out, mechanic, customer, session_id)
    entrance.close_connection()
    way_out.close_connection()
