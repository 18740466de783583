"""The session's page calls through Amazon's own client, bundled as for a deployment, and the local cloud's Chime."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.calls import end, in_call, joins, second_device, sees, uses_the_camera
from support.browser.console import console_settings
from support.browser.window import Camera, Windows

pytestmark = pytest.mark.npm

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle the client, as `sam build` does."""
    folder = tmp_path_factory.mktemp("chime")
    if shutil.which("make") is None:
        pytest.skip("make is not here, with which the layer of Chime's client is built")
    shutil.copytree(ROOT / "layers" / "chime", folder / "source", ignore=shutil.ignore_patterns("node_modules"))
    command = ["make", "--silent", "build-ChimeLayer", f"ARTIFACTS_DIR={folder / 'made'}"]
    subprocess.run(command, cwd=folder / "source", check=True, stdin=subprocess.DEVNULL)
    return folder / "made" / "chime" / "sdk.js.gz"


@pytest.fixture(scope="module")
def account_settings(client: Path) -> AccountSettings:
    return replace(console_settings(), evidence="witnessed", chime_client=client)


def test_two_browsers_hold_a_call_by_chimes_own_client(
    account: Account, windows: Windows, others: Windows, camera: Camera
) -> None:
    meeting = in_call(account, windows, others)
    camera.take(meeting.customer, "call")
    uses_the_camera(meeting)
    end(meeting)
    ended = account.admin().get(f"/api/sessions/{meeting.session_id}")
    assert (ended["status"], ended["reason"]) == ("completed", "billable")
    assert ended["evidence"]["class"] == "witnessed"
    heard = {(each["role"], each["source"]) for each in ended["evidence"]["intervals"]}
    assert heard >= {(role, "medium") for role in ("customer", "mechanic")}
    for each in (windows, others):  # what a page says of the call once the other has ended it
        each.troubles.overlook("410")


def test_who_left_joins_again_and_another_device_takes_over(
    account: Account, windows: Windows, others: Windows
) -> None:
    meeting = in_call(account, windows, others)
    customer, mechanic = meeting.customer, meeting.mechanic
    customer.get_by_role("button", name="Leave call").click()
    expect(mechanic.get_by_text("Waiting for Cora Castillo …")).to_be_visible()
    joins(customer, "Join the call")
    for page, other in ((mechanic, "Cora Castillo"), (customer, "Mia Moreno")):
        sees(page, other)
    phone = second_device(windows, customer)
    joins(phone, "Join the call")
    for page, other in ((phone, "Mia Moreno"), (mechanic, "Cora Castillo")):
        sees(page, other)
    expect(customer.get_by_text("The call goes on at your other device.")).to_be_visible()
