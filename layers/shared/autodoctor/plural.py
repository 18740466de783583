"""Numbers of things, as people read them."""


def counted(number: int, thing: str, things: str | None = None) -> str:
    """The number with its noun: "1 finding", "2,000 findings".

    Args:
        number: how many.
        thing: what one of them is called.
        things: what several are called, where that is not `thing` and an s.
    """
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
