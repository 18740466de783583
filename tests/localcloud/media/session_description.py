"""The little that is read and changed in a session description (RFC 8866) beside aiortc."""

import re
from typing import Final

_LINES: Final = re.compile(r"^(?=m=)", re.MULTILINE)
_MID: Final = re.compile(r"^a=mid:(\S+)", re.MULTILINE)
_SSRC: Final = re.compile(r"^a=ssrc:(\d+)", re.MULTILINE)
_STOPPED: Final = re.compile(r"m=\w+ 0 ")
_BUNDLE: Final = re.compile(r"^a=group:BUNDLE[^\r\n]*", re.MULTILINE)


def picture_lines(description: str) -> dict[str, int]:
    """The lines of pictures by mid, in their order, each with the SSRC of its sender; 0 where nothing is sent."""
    found = {}
    for line in _LINES.split(description)[1:]:
        mid, ssrc = _MID.search(line), _SSRC.search(line)
        if line.startswith("m=video") and mid:
            found[mid[1]] = int(ssrc[1]) if ssrc else 0
    return found


def mids(description: str) -> list[str]:
    """The lines by name, in their order; a line without one is empty."""
    return [mid[1] if (mid := _MID.search(line)) else "" for line in _LINES.split(description)[1:]]


def without_stopped_lines(answer: str, offer: str) -> str:
    """An answer in which the lines that the browser has stopped are stopped too, which aiortc does not do."""
    stopped = {mid[1] for line in _LINES.split(offer)[1:] if _STOPPED.match(line) and (mid := _MID.search(line))}
    if not stopped:
        return answer
    head, *lines = _LINES.split(answer)
    bundled = [mid[1] for line in lines if (mid := _MID.search(line)) and mid[1] not in stopped]
    kept = [
        re.sub(r"^(m=\w+) \d+", r"\1 0", line) if (mid := _MID.search(line)) and mid[1] in stopped else line
        for line in lines
    ]
    return "".join([_BUNDLE.sub(f"a=group:BUNDLE {' '.join(bundled)}", head), *kept])
