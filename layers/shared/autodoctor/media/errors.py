"""What can be wrong with a call."""

from autodoctor.errors import Conflict, Problem


class NoVideo(Conflict):
    """The plan of the session has no video."""

    slug, title = "no-video", "No video"

    def __init__(self) -> None:
        super().__init__("The plan of this session has no video.")


class CallOver(Problem):
    """The session is over, and so is its call."""

    status, slug, title = 410, "call-over", "Call over"

    def __init__(self, session_status: str) -> None:
        super().__init__("The session is over, and so is its call.", sessionStatus=session_status)
