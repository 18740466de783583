"""Which of its formats an answer is asked for in: by `format` of the query, else by the header Accept."""

from collections.abc import Mapping

from autodoctor.errors import Unprocessable

MEDIA_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "html": "text/html",
    "pdf": "application/pdf",
    "csv": "text/csv",
}


def chosen[Format: str](chosen: str | None, accept: str | None, offered: tuple[Format, ...]) -> Format:
    """The format to answer in; the first one offered where nothing is asked for, or only what is not offered.

    Args:
        chosen: `format` of the query.
        accept: the header; its first media type counts.
        offered: by name, the usual one first.

    Raises:
        Unprocessable: the query names a format that is not offered.
    """
    if chosen is not None:
        named = [each for each in offered if each == chosen]
        if not named:
            raise Unprocessable(("/format", f"must be {', '.join(offered[:-1])} or {offered[-1]}"))
        return named[0]
    first = (accept or "").partition(",")[0].partition(";")[0].strip().lower()
    return next((each for each in offered if MEDIA_TYPES[each] == first), offered[0])
