"""Answers of transitions that carry their events, so that publishing them needs no query."""

from typing import Any

from pydantic import Field

from autodoctor.web.schemas import ResponseModel


class WithEvents(ResponseModel):
    """An answer about a session; two are equal where their JSON is.

    Attributes:
        unpublished: the session's events that the bus does not have yet, as `outbox.prefetched` takes them; None:
            they have to be fetched. Never part of the JSON.
    """

    unpublished: list[dict[str, Any]] | None = Field(default=None, exclude=True, repr=False)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.model_dump_json() == self.model_dump_json()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())
