"""Amazon SNS on this machine: moto's, with a record of published messages and a page that shows them.

Every topic that a function's environment names exists; it has no subscribers: messages go to the log and the page.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from aiohttp import web

from localcloud.host.json_lines import JsonLines
from localcloud.host.logline import Log, LogLine
from localcloud.services.moto_service import MotoService
from localcloud.services.pages.mail import answer, document
from localcloud.stack.template import Stack

if TYPE_CHECKING:
    from werkzeug.test import Client

PREFIX: Final = "/_aws/sns"
FILE: Final = "published.jsonl"
PATH: Final = "/_dev/alerts"
JSON_PATH: Final = "/_dev/alerts.json"
_ARN: Final = "arn:aws:sns:"
_SHOWN: Final = 200
_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_MESSAGE_ID: Final = ".//{http://sns.amazonaws.com/doc/2010-03-31/}MessageId"


@dataclass(frozen=True)
class Published:
    """A message that a topic accepted."""

    message_id: str
    published_at: str
    topic: str
    subject: str
    message: str


def published_store(data_dir: Path) -> JsonLines[Published]:
    """The published messages that a data folder keeps."""
    return JsonLines(data_dir / FILE, Published)


class TopicService:
    """SNS below `PREFIX`, and the page at `PATH`."""

    def __init__(self, data_dir: Path, stack: Stack, log: Log) -> None:
        self.store = published_store(data_dir)
        values = {value for function in stack.functions.values() for value in function.environment.values()}
        self._topics = sorted(value.rpartition(":")[2] for value in values if value.startswith(_ARN))
        self._log = log
        self._moto = MotoService("sns", self._create_topics)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as SNS would."""
        body = await request.read()
        status, answered = await self._moto.ask("POST", "/", request.headers, body)
        fields = dict(parse_qsl(body.decode()))
        if status == web.HTTPOk.status_code and fields.get("Action") == "Publish":
            self._keep(fields, ET.fromstring(answered).findtext(_MESSAGE_ID, ""))  # noqa: S314 (moto's own)
        return web.Response(status=status, body=answered, content_type="text/xml")

    async def page(self, request: web.BaseRequest) -> web.StreamResponse:
        """The published messages, as a page or as JSON."""
        messages = self.store.all()[::-1]
        if request.path == JSON_PATH:
            return answer(json.dumps({"messages": [asdict(each) for each in messages]}), "application/json")
        return answer(_listed(messages), "text/html")

    def close(self) -> None:
        """End the thread."""
        self._moto.close()

    def _keep(self, fields: Mapping[str, str], message_id: str) -> None:
        topic = fields["TopicArn"].rpartition(":")[2]
        subject, message = fields.get("Subject", ""), fields["Message"]
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.store.add(Published(message_id, at, topic, subject, message))
        self._log(LogLine("cloud", f"sns {topic} took: {subject}", message_id))

    def _create_topics(self, moto: "Client", signed: dict[str, str]) -> None:
        for name in self._topics:
            body = f"Action=CreateTopic&Name={name}&Version=2010-03-31"
            moto.post("/", data=body, headers={**signed, "Content-Type": _FORM})


def _listed(messages: list[Published]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.published_at)}</td><td>{escape(each.topic)}</td>"
        f"<td>{escape(each.subject)}<pre>{escape(each.message)}</pre></td></tr>"
        for each in messages[:_SHOWN]
    )
    table = f"<table><tr><th>published (UTC)</th><th>topic</th><th>message</th></tr>{rows}</table>"
    return document("Published alerts", f"<h1>Published alerts</h1><p>{len(messages)}, newest first.</p>{table}")
