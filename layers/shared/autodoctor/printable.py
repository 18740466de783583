"""Text of other people, where it is printed as it is: on a terminal, in a mail without markup."""

import unicodedata
from typing import Final

# Letters and symbols that are drawn as nothing: Hangul fillers, and Braille without dots.
_BLANK: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_LINES: Final = frozenset("\n\t")
# Controls, formats (which turn the direction of what follows, among others), surrogates, private use, line separators.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Joins letters and emoji, in names too.
_JOINERS: Final = frozenset("\u200c\u200d")


def is_visible(text: str) -> bool:
    """Whether a reader sees at least one character of it, by the Unicode categories."""
    return any(unicodedata.category(each)[0] in "LNPS" and each not in _BLANK for each in text)


def printable(text: str) -> str:
    r"""The text with what would move a terminal's cursor, ring its bell or turn the direction written as `\x1b`."""
    return "".join(_shown(each) for each in text)


def _shown(character: str) -> str:
    if character in _LINES or character in _JOINERS or unicodedata.category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape").decode()
