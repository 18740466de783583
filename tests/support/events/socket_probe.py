"""The stack for tests of the WebSocket API: a probe that records its events and obeys the test."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3

from localcloud.gateway.socket_connection import Lifetime
from localcloud.host.logline import LogLine
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud
from support.events.feed_client import FeedClient

TEMPLATE = Path(__file__).parents[1] / "stacks" / "socket" / "template.yaml"
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Probe:
    """A running cloud, the events its probe noted, and what the cloud logged."""

    cloud: RunningCloud
    notebook: Path
    lines: list[LogLine]

    def url(self, api: str = "ProbeApi", **query: str) -> str:
        """The address to connect to; the query tells the probe how to answer `$connect`."""
        origin = self.cloud.api_url.replace("http://", "ws://")
        return f"{origin}/_ws/{api}/live" + (f"?{urlencode(query)}" if query else "")

    def connect(self, **query: str) -> FeedClient:
        """Open a connection."""
        return FeedClient(self.url(**query))

    def events(self, kind: str, connection_id: str = "") -> list[dict[str, Any]]:
        """Return the noted events of one type, of one connection where it is named."""
        if not self.notebook.exists():
            return []
        noted = [json.loads(line) for line in self.notebook.read_text().splitlines()]
        return [
            event
            for event in noted
            if event["requestContext"]["eventType"] == kind
            and connection_id in ("", event["requestContext"]["connectionId"])
        ]

    def last_id(self) -> str:
        """Return the id of the connection that opened last."""
        return str(self.events("CONNECT")[-1]["requestContext"]["connectionId"])

    def wait_for_events(self, kind: str, connection_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the events of one type and connection as soon as there are so many."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(found := self.events(kind, connection_id)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} {kind}"
            time.sleep(0.01)
        return found

    def farewell(self, connection_id: str) -> tuple[int, str]:
        """Return what the one `$disconnect` of a connection says."""
        [event] = self.wait_for_events("DISCONNECT", connection_id)
        context = event["requestContext"]
        return context["disconnectStatusCode"], context["disconnectReason"]

    def management(self) -> Any:  # noqa: ANN401 (boto3 has no types)
        """Return a boto3 client of `@connections`."""
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=f"{self.cloud.api_url}/_ws/ProbeApi/live",
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


@contextmanager
def running_probe(data_dir: Path, lifetime: Lifetime | None = None) -> Iterator[Probe]:
    """Run the stack; the notebook stays in the data folder."""
    lines: list[LogLine] = []
    notebook = data_dir / "notebook.jsonl"
    settings = CloudSettings(
        template=TEMPLATE,
        data_dir=data_dir,
        app_database_url="postgresql://app",
        owner_database_url="postgresql://owner",
        port=0,
        log=lines.append,
        reload=False,
        schedules=False,
        overrides={"Notebook": str(notebook)},
        max_processes=2,
        sockets=lifetime or Lifetime(),
    )
    with running_cloud(settings) as cloud:
        yield Probe(cloud, notebook, lines)
