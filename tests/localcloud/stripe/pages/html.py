"""The look of the stand-in's pages: plain HTML without scripts or loaded files, and a policy that forbids both."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

_STYLE: Final = (
    ":root{color-scheme:light dark;--accent:#2347d6;--ink:light-dark(#1a1f36,#e8eaf0);"
    "--line:light-dark(#d8dce6,#3a4052);--edge:light-dark(#868ea4,#6b748c);"
    "--sheet:light-dark(#fff,#1b1f2a);--desk:light-dark(#f4f6fa,#10131a);--quiet:light-dark(#565e75,#a5adc2);"
    "--alarm:light-dark(#b3261e,#ff8a80)}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:var(--ink);"
    "background:var(--desk)}"
    "main.narrow{max-width:24rem;margin:6vh auto;padding:1.75rem;background:var(--sheet);border:1px solid var(--line);"
    "border-radius:.75rem;box-shadow:0 .5rem 2rem #0001}h1{font-size:1.25rem;margin:0}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.35rem .75rem .35rem 0;vertical-align:top;border-bottom:1px solid var(--line);"
    "overflow-wrap:anywhere}"
    "main.narrow td:last-child{text-align:right;padding-right:0}"
    "button{font:inherit;padding:.4rem .9rem;margin:.15rem .25rem .15rem 0;cursor:pointer;color:inherit;"
    "background:var(--sheet);border:1px solid var(--edge);border-radius:.4rem}"
    "button.first{background:var(--accent);color:#fff;border-color:var(--accent)}button:hover{filter:brightness(.95)}"
    "button:focus-visible,input:focus-visible,a:focus-visible{outline:3px solid #7b93ff;outline-offset:2px}"
    "input{font:inherit;width:100%;padding:.5rem .6rem;box-sizing:border-box;color:inherit;background:var(--sheet);"
    "border:1px solid var(--edge);border-radius:.4rem}label{display:block;margin:.9rem 0;font-size:.9rem}"
    "a{color:light-dark(#2347d6,#9db0ff)}"
    ".total{font-size:2.25rem;font-weight:600;margin:.25rem 0 .75rem}"
    ".problem{border-left:4px solid var(--alarm);padding-left:.75rem;color:var(--alarm)}"
    ".mode{float:right;margin:0;font-size:.75rem;padding:.1rem .5rem;border-radius:1rem;background:#ffd8a8;"
    "color:#5c3000}"
    "form{display:inline}main.narrow form{display:block}small{color:var(--quiet)}"
    "main.narrow button{width:100%;margin:.25rem 0}main.narrow .first{padding:.65rem;font-weight:600}"
    ".row{display:flex;gap:.5rem}main.narrow .row button{padding:.4rem .2rem}main.narrow>p:last-child{margin-bottom:0}"
)


def page(title: str, body: str, *, status: int = 200, leads_to: Iterable[str] = ()) -> web.Response:
    """Answer with a page; its forms may lead to the origins of `leads_to`, since browsers check redirects too."""
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
        "Referrer-Policy": "same-origin",  # with no-referrer the forms' own Origin would be null
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(status=status, text=document, content_type="text/html", headers=headers)


def redirect(url: str) -> web.Response:
    """Redirect a browser, with GET."""
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
    """Format an amount of money."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02} {currency.upper()}"


def from_another_site(request: web.BaseRequest) -> bool:
    """Say whether a browser sends this on behalf of another site; no page here allows that."""
    origin = request.headers.get("Origin")  # every browser sends it with a form; older ones no Sec-Fetch-Site
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
