"""The bench's additions: a bus that answers as AWS does, and the product without its events."""

from pathlib import Path

import boto3
import pytest

from bench.events.bus import NAME, bench_bus
from bench.http.calls import ROOT
from bench.http.stacks import without_publishing


def test_the_bus_takes_every_entry_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVENT_BUS_NAME", "AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_REGION"):
        monkeypatch.setenv(name, "")  # and so put back what bench_bus() sets
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    entry = {"Source": "autodoctor", "DetailType": "session.created", "Detail": "{}", "EventBusName": NAME}
    with bench_bus() as bus:
        client = boto3.client("events", region_name="eu-west-1", endpoint_url=bus.endpoint)
        assert client.describe_event_bus(Name=NAME)["Name"] == NAME
        answer = client.put_events(Entries=[entry] * 3)
        client.close()
        assert answer["FailedEntryCount"] == 0
        assert len({each["EventId"] for each in answer["Entries"]}) == 3
        assert bus.taken() == 3


def test_the_product_without_events_is_the_same_but_for_what_follows_the_commit(tmp_path: Path) -> None:
    without_publishing(tmp_path / "functions")
    ours = (ROOT / "functions" / "accept" / "app.py").read_text(encoding="utf-8")
    theirs = (tmp_path / "functions" / "accept" / "app.py").read_text(encoding="utf-8")
    assert "after=publish" in ours
    assert "after=" not in theirs
    assert "".join(ours.split()).replace(",after=publish", "") == "".join(theirs.split())
