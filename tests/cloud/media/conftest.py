"""The stack of meetings, running."""

from collections.abc import Iterator

import pytest

from support.meetings.meeting_app import MeetingApp, open_meeting_app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeetingApp]:
    """Run it for the tests of a file."""
    with open_meeting_app(tmp_path_factory.mktemp("meetings")) as app:
        yield app
