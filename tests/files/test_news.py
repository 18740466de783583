"""What S3 and GuardDuty say of a file, in any order and however often, leads to one state."""

from itertools import permutations
from uuid import UUID

import pytest
from pydantic import ValidationError

from autodoctor.files.scan import CAME, SCANNED, take_news
from autodoctor.ids import new_id
from support.files.attachment_rows import attachment
from support.world import World


def came(file: UUID) -> dict[str, object]:
    """S3's event for an upload."""
    detail = {"version": "0", "bucket": {"name": "files"}, "object": {"key": f"uploads/{file}.png", "size": 1}}
    return {"source": "aws.s3", "detail-type": CAME, "detail": detail}


def scanned(file: UUID, result: str) -> dict[str, object]:
    """GuardDuty's event for a scan."""
    detail = {
        "schemaVersion": "1.0",
        "scanStatus": "COMPLETED",
        "s3ObjectDetails": {"bucketName": "files", "objectKey": f"uploads/{file}.png", "s3Throttled": False},
        "scanResultDetails": {"scanResultStatus": result, "threats": None},
    }
    return {"source": "aws.guardduty", "detail-type": SCANNED, "detail": detail}


def state(world: World, file: UUID) -> str:
    found: str = world.one("SELECT state FROM attachments WHERE id = %s", file)
    return found


@pytest.mark.parametrize(
    ("result", "becomes"),
    [
        ("NO_THREATS_FOUND", "clean"),
        ("THREATS_FOUND", "refused"),
        ("UNSUPPORTED", "refused"),
        ("ACCESS_DENIED", "refused"),
        ("FAILED", "refused"),
    ],
)
def test_each_order_of_the_news_gives_the_same(world: World, result: str, becomes: str) -> None:
    for order in set(permutations(("came", "came", "scanned", "scanned"))):
        file = attachment(world, new_id(), state="promised")
        for each in order:
            take_news(world.app, came(file) if each == "came" else scanned(file, result))
        assert state(world, file) == becomes, order


def test_a_later_scan_may_refuse_what_was_clean_and_none_takes_a_refusal_back(world: World) -> None:
    file = attachment(world, new_id(), state="promised")
    for result, becomes in (("NO_THREATS", "clean"), ("THREATS", "refused"), ("NO_THREATS", "refused")):
        take_news(world.app, scanned(file, f"{result}_FOUND"))
        assert state(world, file) == becomes


@pytest.mark.parametrize("known", ["gone", "refused"])
def test_what_comes_again_after_its_end_is_deleted_again(world: World, known: str) -> None:
    file = attachment(world, new_id())
    world.owner.execute("UPDATE attachments SET state = %s WHERE id = %s", [known, file])
    world.owner.execute("UPDATE attachments SET removed_at = now() WHERE id = %s", [file])
    take_news(world.app, came(file))
    take_news(world.app, scanned(file, "NO_THREATS_FOUND"))
    assert state(world, file) == known
    assert world.one("SELECT removed_at IS NULL FROM attachments WHERE id = %s", file)


def test_news_of_a_key_that_is_nobodys_changes_nothing(world: World) -> None:
    file = attachment(world, new_id(), state="promised")
    take_news(world.app, came(new_id()))
    take_news(world.app, scanned(new_id(), "NO_THREATS_FOUND"))
    assert state(world, file) == "promised"


@pytest.mark.parametrize("detail", [{}, {"s3ObjectDetails": {}}, {"scanResultDetails": {"scanResultStatus": "MAYBE"}}])
def test_news_of_another_shape_is_no_news(world: World, detail: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        take_news(world.app, {"detail-type": SCANNED, "detail": detail})


def test_the_states_of_an_attachment_move_forwards_only(world: World) -> None:
    states = ("promised", "scanning", "clean", "refused", "gone")
    allowed = {
        (was, becomes)
        for was in states
        for becomes in states
        if world.one("SELECT attachment_may_move(%s, %s)", was, becomes)
    }
    assert allowed == {
        *(("promised", becomes) for becomes in states[1:]),
        *(("scanning", becomes) for becomes in states[2:]),
        *(("clean", becomes) for becomes in states[3:]),
        ("refused", "gone"),
    }
