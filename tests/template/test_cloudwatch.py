"""The dashboard shows existing metrics: ours are emitted by code, AWS's belong to resources of the template."""

import json
import re
from pathlib import Path
from typing import Any

type Document = dict[str, Any]

COUNTED = re.compile(r'(?:metric=|name=|\b_?count\()"([A-Z]\w+)"')


def widgets(resources: Document) -> list[Document]:
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown: list[Document] = json.loads(re.sub(r"\$\{[\w:.]+\}", "x", body))["widgets"]
    return shown


def test_every_metric_of_ours_is_counted_somewhere(resources: Document, root: Path) -> None:
    sources = [file.read_text() for folder in ("functions", "layers") for file in (root / folder).rglob("*.py")]
    counted = {name for source in sources for name in COUNTED.findall(source)}
    shown = {
        metric[1]
        for widget in widgets(resources)
        for metric in widget["properties"]["metrics"]
        if metric[0] == "AutoDoctor"
    }
    assert shown
    assert shown <= counted


def test_every_queue_is_on_it(resources: Document) -> None:
    queues = {name for name, each in resources.items() if each["Type"] == "AWS::SQS::Queue"}
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert {name for name in queues if f"${{{name}.QueueName}}" in body} == queues


def test_no_widget_lies_on_another(resources: Document) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in widgets(resources):
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        taken |= cells
