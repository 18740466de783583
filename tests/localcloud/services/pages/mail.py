"""`/_dev/mail`: the mails of the local SES, as their readers would see them, and as JSON for tests."""

import json
from dataclasses import asdict
from html import escape
from typing import Final

from aiohttp import web

from localcloud.host.json_lines import JsonLines
from localcloud.services.mail import SentMail

PATH: Final = "/_dev/mail"
JSON_PATH: Final = "/_dev/mail.json"
_SHOWN: Final = 200
# Mails contain users' text: nothing in one may run, load or send anything.
_PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'"
_MAIL_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'"
_STYLE: Final = (
    ":root{color-scheme:light dark;background:Canvas}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .75rem .35rem 0;vertical-align:top}"
    "pre{white-space:pre-wrap;border:1px solid #8886;padding:1rem}iframe{width:100%;height:36rem;"
    "border:1px solid #8886;background:#fff}"
)


class MailPage:
    """Serves the page, each mail of it, and the JSON."""

    def __init__(self, store: JsonLines[SentMail]) -> None:
        self._store = store

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request below `PATH`, or for `JSON_PATH`."""
        mails = self._store.all()[::-1]
        if request.path == JSON_PATH:
            return answer(json.dumps({"mails": [asdict(mail) for mail in mails]}), "application/json")
        wanted = request.path.removeprefix(PATH).strip("/")
        if not wanted:
            return answer(_list(mails[:_SHOWN], len(mails)), "text/html")
        message_id, _, part = wanted.partition("/")
        mail = next((mail for mail in mails if mail.message_id == message_id), None)
        if mail is None or part not in ("", "html"):
            return web.Response(status=404, text="no such mail")
        if part == "html":
            return answer(mail.html, "text/html", _MAIL_POLICY)
        return answer(_one(mail), "text/html")


def answer(body: str, content_type: str, policy: str = _PAGE_POLICY) -> web.Response:
    """A page or a document below `/_dev` that shows users' text."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(text=body, content_type=content_type, headers=headers)


def document(title: str, body: str) -> str:
    """A whole HTML document around a body; the title is escaped, the body is HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _list(mails: list[SentMail], count: int) -> str:
    rows = "".join(
        f"<tr><td>{escape(mail.sent_at)}</td><td>{escape(', '.join(mail.to))}</td>"
        f'<td><a href="{PATH}/{escape(mail.message_id)}">{escape(mail.subject)}</a></td>'
        f"<td>{escape(mail.kind or '')}</td></tr>"
        for mail in mails
    )
    table = f"<table><tr><th>sent (UTC)</th><th>to</th><th>subject</th><th>kind</th></tr>{rows}</table>"
    return document("Sent mail", f"<h1>Sent mail</h1><p>{count} so far, newest first.</p>{table}")


def _one(mail: SentMail) -> str:
    title = escape(mail.subject)
    who = f"<p>{escape(mail.sent_at)}, from {escape(mail.sender)} to {escape(', '.join(mail.to))}</p>"
    frame = f'<iframe sandbox title="HTML part" src="{PATH}/{escape(mail.message_id)}/html"></iframe>'
    parts = f"<h2>HTML</h2>{frame}<h2>Text</h2><pre>{escape(mail.text)}</pre>"
    return document(mail.subject, f'<p><a href="{PATH}">all mail</a></p><h1>{title}</h1>{who}{parts}')
