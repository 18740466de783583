"""Amazon SNS on this machine: moto's, with a memory of what was published and a page that shows it.

Every topic that a function's environment names exists; nobody subscribes, so a message goes to the log and the page.
moto is loaded by the first request, in a thread of its own, so that a start without alerts does not wait for it.
"""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from aiohttp import web

from localcloud.cloudformation import REGION
from localcloud.logline import Log, LogLine
from localcloud.mail_page import answer, document
from localcloud.private_file import private
from localcloud.template import Stack

PREFIX: Final = "/_aws/sns"
FILE: Final = "published.jsonl"
PATH: Final = "/_dev/alerts"
JSON_PATH: Final = "/_dev/alerts.json"
_ARN: Final = "arn:aws:sns:"
_SHOWN: Final = 200
_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_SIGNED: Final = f"AWS4-HMAC-SHA256 Credential=local/20000101/{REGION}/sns/aws4_request"
_MESSAGE_ID: Final = ".//{http://sns.amazonaws.com/doc/2010-03-31/}MessageId"


@dataclass(frozen=True)
class Published:
    """A message that a topic took."""

    message_id: str
    published_at: str
    topic: str
    subject: str
    message: str


class PublishedStore:
    """What was published, newest last, in a file of the data folder that its owner alone may read."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / FILE

    def add(self, message: Published) -> None:
        """Keep one more."""
        with open(self._file, "a", encoding="utf-8", opener=private) as lines:
            lines.write(json.dumps(asdict(message)) + "\n")

    def all(self) -> list[Published]:
        """Every message; a line that a killed process left unfinished is none."""
        if not self._file.exists():
            return []
        lines = self._file.read_text(encoding="utf-8").splitlines(keepends=True)
        return [Published(**json.loads(line)) for line in lines if line.endswith("}\n")]

    def forget(self) -> None:
        """Drop every message, also under a running server, which opens the file for each."""
        self._file.unlink(missing_ok=True)


class TopicService:
    """SNS below `PREFIX`, and the page at `PATH`."""

    def __init__(self, data_dir: Path, stack: Stack, log: Log) -> None:
        self.store = PublishedStore(data_dir)
        values = {value for function in stack.functions.values() for value in function.environment.values()}
        self._topics = sorted(value.rpartition(":")[2] for value in values if value.startswith(_ARN))
        self._log = log
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sns")

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as SNS would."""
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        loop = asyncio.get_running_loop()
        status, answered = await loop.run_in_executor(self._thread, self._ask, headers, body)
        fields = dict(parse_qsl(body.decode()))
        if status == web.HTTPOk.status_code and fields.get("Action") == "Publish":
            self._keep(fields, ET.fromstring(answered).findtext(_MESSAGE_ID, ""))  # noqa: S314 (moto's own)
        return web.Response(status=status, body=answered, content_type="text/xml")

    async def page(self, request: web.BaseRequest) -> web.StreamResponse:
        """What was published, as a page or as JSON."""
        messages = self.store.all()[::-1]
        if request.path == JSON_PATH:
            return answer(json.dumps({"messages": [asdict(each) for each in messages]}), "application/json")
        return answer(_listed(messages), "text/html")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _keep(self, fields: Mapping[str, str], message_id: str) -> None:
        topic = fields["TopicArn"].rpartition(":")[2]
        subject, message = fields.get("Subject", ""), fields["Message"]
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.store.add(Published(message_id, at, topic, subject, message))
        self._log(LogLine("cloud", f"sns {topic} took: {subject}", message_id))

    def _ask(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        response = self._moto.post("/", headers=dict(headers), data=body)
        return response.status_code, response.get_data()

    @cached_property
    def _moto(self) -> Any:  # noqa: ANN401 (moto's server has no types)
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 (a second that only a first alert pays)
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.test import Client  # noqa: PLC0415

        client = Client(DomainDispatcherApplication(create_backend_app))
        for name in self._topics:
            body = f"Action=CreateTopic&Name={name}&Version=2010-03-31"
            client.post("/", data=body, headers={"Authorization": _SIGNED, "Content-Type": _FORM})
        return client


def _listed(messages: list[Published]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.published_at)}</td><td>{escape(each.topic)}</td>"
        f"<td>{escape(each.subject)}<pre>{escape(each.message)}</pre></td></tr>"
        for each in messages[:_SHOWN]
    )
    table = f"<table><tr><th>published (UTC)</th><th>topic</th><th>message</th></tr>{rows}</table>"
    return document("Published alerts", f"<h1>Published alerts</h1><p>{len(messages)}, newest first.</p>{table}")
