"""Amazon SES on this machine: moto's, with what it lacks: mails that outlive it, and the mailbox simulator's events.

moto is loaded by the first request, in a thread of its own, so that a start without mails does not wait for it.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from localcloud.causes import noted
from localcloud.cloudformation import ACCOUNT, REGION
from localcloud.event_bus import BusEvent
from localcloud.logline import Log, LogLine
from localcloud.private_file import private
from localcloud.template import Stack

PREFIX: Final = "/_aws/email"
FILE: Final = "mail.jsonl"
_SEND_PATH: Final = "/v2/email/outbound-emails"
_WARM_AFTER_SECONDS: Final = 5.0
_FROM: Final = "MAIL_FROM"
_SIMULATOR: Final = "simulator.amazonses.com"
_SIGNED: Final = f"AWS4-HMAC-SHA256 Credential=local/20000101/{REGION}/ses/aws4_request"

type Emit = Callable[[Sequence[BusEvent]], object]
"""Puts events of SES on the account's default bus."""


@dataclass(frozen=True)
class SentMail:
    """A mail that SES took; `kind` is its tag of that name, where it has one."""

    message_id: str
    sent_at: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    kind: str | None


class MailStore:
    """What was sent, newest last, in a file of the data folder that its owner alone may read."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / FILE

    def add(self, mail: SentMail) -> None:
        """Keep one more."""
        with open(self._file, "a", encoding="utf-8", opener=private) as lines:
            lines.write(json.dumps(asdict(mail)) + "\n")

    def all(self) -> list[SentMail]:
        """Every mail; a line that a killed process left unfinished is no mail."""
        if not self._file.exists():
            return []
        return [found for line in self._file.read_text(encoding="utf-8").splitlines() if (found := _read(line))]

    def forget(self) -> None:
        """Drop every mail, also under a running server, which opens the file for each."""
        self._file.unlink(missing_ok=True)


class MailService:
    """The part of SES's API, version 2, that moto has, below `PREFIX`; the From addresses of a stack are verified."""

    def __init__(self, data_dir: Path, stack: Stack, emit: Emit, log: Log) -> None:
        self.store = MailStore(data_dir)
        self._senders = {
            function.environment[_FROM] for function in stack.functions.values() if _FROM in function.environment
        }
        self._emit = emit
        self._log = log
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ses")

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as SES would."""
        path, cause = request.path.removeprefix(PREFIX), noted(request.headers)
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        loop = asyncio.get_running_loop()
        status, answer = await loop.run_in_executor(self._thread, self._ask, request.method, path, headers, body)
        if (request.method, path, status) == ("POST", _SEND_PATH, 200):
            mail = _sent(json.loads(body), json.loads(answer)["MessageId"])
            self.store.add(mail)
            # No address: what is logged here looks like the log of the account.
            kind = mail.kind or "untagged"
            self._log(LogLine("mail", f"ses took a mail: {kind}", request_id=mail.message_id, cause=cause))
            self._emit(_simulated(mail))
        return web.Response(status=status, body=answer, content_type="application/json")

    async def warm(self) -> None:
        """Load moto after a while, so that a first mail is not late, nor a start."""
        if self._senders:
            await asyncio.sleep(_WARM_AFTER_SECONDS)
            await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._moto)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        response = self._moto.open(path, method=method, headers=dict(headers), data=body)
        return response.status_code, response.get_data()

    @cached_property
    def _moto(self) -> Any:  # noqa: ANN401 (moto's server has no types)
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 (a second that only a first mail pays)
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.test import Client  # noqa: PLC0415

        client = Client(DomainDispatcherApplication(create_backend_app))
        for sender in self._senders:
            identity = {"EmailIdentity": parseaddr(sender)[1]}
            client.post("/v2/email/identities", json=identity, headers={"Authorization": _SIGNED})
        return client


def _read(line: str) -> SentMail | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return SentMail(**{**found, "to": tuple(found["to"])})


def _sent(request: Mapping[str, Any], message_id: str) -> SentMail:
    simple = request["Content"].get("Simple", {})
    body = simple.get("Body", {})
    tags = {tag["Name"]: tag["Value"] for tag in request.get("EmailTags", [])}
    return SentMail(
        message_id=message_id,
        sent_at=_now(),
        sender=request.get("FromEmailAddress", ""),
        to=tuple(request.get("Destination", {}).get("ToAddresses", [])),
        subject=simple.get("Subject", {}).get("Data", ""),
        text=body.get("Text", {}).get("Data", ""),
        html=body.get("Html", {}).get("Data", ""),
        kind=tags.get("kind"),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _simulated(mail: SentMail) -> list[BusEvent]:
    """What SES reports of mails to its mailbox simulator; `bounce+label@` is the same as `bounce@`."""
    found = []
    for address in mail.to:
        local, _, domain = parseaddr(address)[1].lower().rpartition("@")
        scenario = local.partition("+")[0]
        if domain == _SIMULATOR and scenario in _SCENARIOS:
            detail_type, detail = _SCENARIOS[scenario](address)
            found.append(_event(detail_type, detail, mail))
    return found


def _bounce(address: str) -> tuple[str, dict[str, Any]]:
    recipient = {
        "emailAddress": address,
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1 user unknown",
    }
    bounce = {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [recipient]}
    report = {"timestamp": _now(), "feedbackId": str(uuid.uuid4()), "reportingMTA": f"dsn; {_SIMULATOR}"}
    return "Email Bounced", {"eventType": "Bounce", "bounce": {**bounce, **report}}


def _transient_bounce(address: str) -> tuple[str, dict[str, Any]]:
    """An out-of-office answer, which SES reports as a bounce that is not permanent."""
    kind, detail = _bounce(address)
    return kind, {**detail, "bounce": {**detail["bounce"], "bounceType": "Transient"}}


def _complaint(address: str) -> tuple[str, dict[str, Any]]:
    complaint = {
        "complainedRecipients": [{"emailAddress": address}],
        "complaintSubType": None,
        "complaintFeedbackType": "abuse",
        "timestamp": _now(),
        "feedbackId": str(uuid.uuid4()),
    }
    return "Email Complaint Received", {"eventType": "Complaint", "complaint": complaint}


_SCENARIOS: Final[Mapping[str, Callable[[str], tuple[str, dict[str, Any]]]]] = {
    "bounce": _bounce,
    "ooto": _transient_bounce,
    "complaint": _complaint,
}


def _event(detail_type: str, detail: Mapping[str, Any], mail: SentMail) -> BusEvent:
    about = {
        "timestamp": mail.sent_at,
        "source": mail.sender,
        "sendingAccountId": ACCOUNT,
        "messageId": mail.message_id,
        "destination": list(mail.to),
        "headersTruncated": False,
        "headers": [],
        "commonHeaders": {"from": [mail.sender], "to": list(mail.to), "subject": mail.subject},
        "tags": {"kind": [mail.kind]} if mail.kind else {},
    }
    identity = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{parseaddr(mail.sender)[1]}"
    return BusEvent("aws.ses", detail_type, {**detail, "mail": about}, resources=(identity,))
