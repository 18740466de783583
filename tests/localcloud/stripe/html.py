"""How the stand-in's pages look: plain HTML drawn here, no scripts, nothing loaded, and what a browser may do there."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "main.narrow{max-width:26rem;margin:auto}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.35rem .75rem .35rem 0;vertical-align:top;border-bottom:1px solid #8884}"
    "button{font:inherit;padding:.4rem .9rem;margin:.15rem .25rem .15rem 0;cursor:pointer}"
    "button.first{background:#2347d6;color:#fff;border:1px solid #2347d6}"
    "input{font:inherit;width:100%;padding:.4rem;box-sizing:border-box}label{display:block;margin:.75rem 0}"
    ".total{font-size:2rem;margin:.5rem 0}.problem{border-left:4px solid #c22;padding-left:.75rem}"
    "form{display:inline}main.narrow form{display:block}small{opacity:.75}"
)


def page(title: str, body: str, *, status: int = 200, leads_to: Iterable[str] = ()) -> web.Response:
    """Answer with a page; its forms may lead to the origins of `leads_to`, since browsers look at redirects too."""
    origins = sorted({_origin(url) for url in leads_to if url})
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {' '.join(['%self%', *origins])}"
    ).replace("%self%", "'self'")
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(status=status, text=document, content_type="text/html", headers=headers)


def redirect(url: str) -> web.Response:
    """Send a browser on, with GET."""
    return web.Response(status=303, headers={"Location": url, "Cache-Control": "no-store"})


def notice(title: str, sentence: str, status: int) -> web.Response:
    """Answer with one sentence."""
    return page(title, f"<main class=narrow><h1>{escape(title)}</h1><p>{escape(sentence)}</p></main>", status=status)


def button(label: str, values: Mapping[str, str], *, first: bool = False) -> str:
    """Draw a form of one button that posts these values to the page it is on."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in values.items()
    )
    style = ' class="first"' if first else ""
    return f'<form method="post">{hidden}<button{style}>{escape(label)}</button></form>'


def money(cents: int, currency: str) -> str:
    """Write an amount out."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02} {currency.upper()}"


def from_another_site(request: web.BaseRequest) -> bool:
    """Say whether a browser sends this on behalf of another site, which nothing here is meant for."""
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
