"""Answers of transitions that bring their events along, so that publishing them need not fetch them."""

from typing import Any

from pydantic import Field

from autodoctor.web.schemas import Answer


class Told(Answer):
    """An answer about a session; two are equal where the caller is shown the same.

    Attributes:
        unpublished: events of the session that the bus does not have, as `outbox.brought` takes them; None where they
            are still to be fetched. The caller is not shown them.
    """

    unpublished: list[dict[str, Any]] | None = Field(default=None, exclude=True, repr=False)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.model_dump_json() == self.model_dump_json()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())
