"""The errors of evidence."""

from autodoctor.errors import Conflict, NotFound


class EvidenceNotFound(NotFound):
    """There is no such evidence, or it has no such document."""

    def __init__(self) -> None:
        super().__init__("There is no such evidence, or it has no such document.")


class EvidenceOver(Conflict):
    """The evidence was sent, or the dispute takes none any more."""

    slug, title = "evidence-over", "Evidence over"

    def __init__(self, state: str) -> None:
        super().__init__(f"This evidence cannot be changed or sent any more: it is {state}.", evidenceState=state)


class EvidenceBusy(Conflict):
    """The evidence is being prepared, staged or sent at this moment."""

    slug, title = "evidence-busy", "Evidence busy"

    def __init__(self) -> None:
        super().__init__(
            "This evidence is being prepared or sent at this moment; look again in a minute.",
            headers={"Retry-After": "60"},
        )


class EvidenceChanged(Conflict):
    """Somebody changed the evidence since it was read."""

    slug, title = "evidence-changed", "Evidence changed"

    def __init__(self, version: int) -> None:
        super().__init__("Somebody changed this evidence since you read it; read it again.", version=version)
