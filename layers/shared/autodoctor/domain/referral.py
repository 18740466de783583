"""Referral codes as people write them: 8 characters of Crockford's base 32 (https://www.crockford.com/base32.html)."""

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 8
_READ_AS: Final = str.maketrans("OIL", "011", " -")


def canonical_code(typed: str) -> str:
    """The code that somebody meant: in any case, with spaces or hyphens, O for 0, I or L for 1.

    Raises:
        ValueError: malformed. Whether anybody owns the code is not checked.
    """
    code = typed.upper().translate(_READ_AS)
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        raise ValueError("is not a referral code")
    return code
