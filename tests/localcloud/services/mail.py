"""Amazon SES on this machine: moto's, plus mails that outlive the process and the mailbox simulator's events."""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from localcloud.host.json_lines import JsonLines
from localcloud.host.logline import Log, LogLine
from localcloud.messaging.event_bus import BusEvent
from localcloud.services.causes import noted
from localcloud.services.moto_service import MotoService
from localcloud.stack.cloudformation import ACCOUNT, REGION
from localcloud.stack.template import Stack

if TYPE_CHECKING:
    from werkzeug.test import Client

PREFIX: Final = "/_aws/email"
FILE: Final = "mail.jsonl"
_SEND_PATH: Final = "/v2/email/outbound-emails"
_WARM_AFTER_SECONDS: Final = 5.0
_FROM: Final = "MAIL_FROM"
_SIMULATOR: Final = "simulator.amazonses.com"

type Emit = Callable[[Sequence[BusEvent]], object]
"""Puts events of SES on the account's default bus."""


@dataclass(frozen=True)
class SentMail:
    """A mail that SES accepted: `kind` is its tag of that name, `configuration_set` what it was sent with, if any."""

    message_id: str
    sent_at: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    kind: str | None
    configuration_set: str | None = None


def mail_store(data_dir: Path) -> JsonLines[SentMail]:
    """The sent mails that a data folder keeps."""
    return JsonLines(data_dir / FILE, _kept)


class MailService:
    """Those calls of SES's API, version 2, that moto has, below `PREFIX`; the stack's From addresses are verified."""

    def __init__(self, data_dir: Path, stack: Stack, emit: Emit, log: Log) -> None:
        self.store = mail_store(data_dir)
        self._senders = {
            function.environment[_FROM] for function in stack.functions.values() if _FROM in function.environment
        }
        self._emit = emit
        self._log = log
        self._moto = MotoService("ses", self._verify_senders)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as SES would."""
        path, cause = request.path.removeprefix(PREFIX), noted(request.headers)
        body = await request.read()
        status, answer = await self._moto.ask(request.method, path, request.headers, body)
        if (request.method, path, status) == ("POST", _SEND_PATH, 200):
            mail = _sent(json.loads(body), json.loads(answer)["MessageId"])
            self.store.add(mail)
            # No address: this log shows no more than the account's log would.
            kind = mail.kind or "untagged"
            self._log(LogLine("mail", f"ses took a mail: {kind}", request_id=mail.message_id, cause=cause))
            self._emit(_simulated(mail))
        return web.Response(status=status, body=answer, content_type="application/json")

    async def warm(self) -> None:
        """Load moto after a while, so that it delays neither the start nor the first mail."""
        if self._senders:
            await asyncio.sleep(_WARM_AFTER_SECONDS)
            await self._moto.load()

    def close(self) -> None:
        """End the thread."""
        self._moto.close()

    def _verify_senders(self, moto: "Client", signed: dict[str, str]) -> None:
        for sender in self._senders:
            moto.post("/v2/email/identities", json={"EmailIdentity": parseaddr(sender)[1]}, headers=signed)


def _kept(*, to: Sequence[str], **fields: Any) -> SentMail:  # noqa: ANN401 (as JSON has them)
    return SentMail(to=tuple(to), **fields)


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
        configuration_set=request.get("ConfigurationSetName"),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _simulated(mail: SentMail) -> list[BusEvent]:
    """SES's events for mails to its mailbox simulator; `bounce+label@` is the same as `bounce@`."""
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
    """An out-of-office answer, which SES reports as a transient bounce."""
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
        "tags": {
            **({"ses:configuration-set": [mail.configuration_set]} if mail.configuration_set else {}),
            **({"kind": [mail.kind]} if mail.kind else {}),
        },
    }
    identity = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{parseaddr(mail.sender)[1]}"
    return BusEvent("aws.ses", detail_type, {**detail, "mail": about}, resources=(identity,))
