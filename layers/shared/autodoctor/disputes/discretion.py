"""Leaves out of words what is about somebody else: a bank gets the customer's case, and nobody's else data.

A customer's own name and address go to their own bank; a mechanic is "the mechanic". Addresses and telephone numbers
in what was written are left out, whosever they are: nobody can tell from the words.
"""

import re
from typing import Final

LEFT_OUT: Final = "[left out]"
_ADDRESS: Final = re.compile(r"[^\s@<>()]+@[^\s@<>()]+\.[^\s@<>()]+")
_LINK: Final = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(?<![\w.])\+?\(?\d[\d\s()./-]{6,}\d(?!\w)")
_SHORTEST_NAME: Final = 3


def discreet(text: str, mechanic_name: str | None) -> str:
    """The words without addresses, links, telephone numbers, and the name of the mechanic."""
    for pattern in (_ADDRESS, _LINK, _NUMBER):
        text = pattern.sub(LEFT_OUT, text)
    names = [] if mechanic_name is None else [mechanic_name, *mechanic_name.split()]
    for name in names:
        if len(name) >= _SHORTEST_NAME:
            text = re.sub(rf"\b{re.escape(name)}\b", "the mechanic", text, flags=re.IGNORECASE)
    return text
