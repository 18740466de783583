"""The waiting room, which is the session's page: how long, how much longer, and the ways out after ten minutes."""

import re
from typing import Literal
from uuid import UUID

import pytest
from playwright.sync_api import expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, signed_in
from support.browser.meeting import accepted, asked, messages
from support.browser.window import Camera, Windows
from support.wait import wait_until

LONG_SECONDS = 11 * 60
SILENT_SECONDS = 4 * 60


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def gone(account: Account, role: Literal["customer", "mechanic"], session_id: UUID) -> None:
    """Wait until the server has noticed that this party's page is closed, or without a network."""
    query = "SELECT CASE %s WHEN 'customer' THEN customer_present ELSE mechanic_present END FROM sessions WHERE id = %s"
    wait_until(lambda: not account.world.one(query, role, session_id))


def test_it_says_how_long_one_has_waited_and_what_to_do_meanwhile(
    account: Account, windows: Windows, camera: Camera
) -> None:
    customer = windows.open(phone=True)
    asked(account, customer)
    expect(customer.get_by_role("timer")).to_have_text(re.compile(r"^0:[0-5]\d$"))
    expect(customer.get_by_text("You are next.")).to_be_visible()
    expect(customer.get_by_text("While you wait: write what else there is to know")).to_be_visible()
    expect(customer.get_by_text("This takes longer than it should")).to_have_count(0)
    camera.take(customer, "waiting")


def test_after_ten_minutes_it_is_honest_and_offers_ways_out(account: Account, windows: Windows, camera: Camera) -> None:
    customer = windows.open(phone=True)
    asked(account, customer)
    account.world.let_time_pass(LONG_SECONDS)
    customer.reload()
    ways = customer.locator("#way-out")
    expect(ways).to_contain_text("You have waited for more than ten minutes. We are sorry.")
    expect(customer.get_by_role("timer")).to_have_text(re.compile(r"^11:\d\d$"))
    expect(customer.get_by_role("button", name="Cancel")).to_have_count(1)
    camera.take(customer, "too long")
    ways.get_by_role("button", name="Leave a number").click()
    customer.get_by_label("Telephone number").fill("555 0100")
    customer.get_by_role("button", name="Leave it").click()
    expect(messages(customer).get_by_text("Please call me on 555 0100 when you can take this.")).to_be_visible()
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    accepted(mechanic)
    expect(messages(mechanic).get_by_text("555 0100")).to_be_visible()


def test_a_time_may_be_booked_instead(account: Account, windows: Windows, camera: Camera) -> None:
    customer = windows.open()
    asked(account, customer, "It rattles at 60.")
    account.world.let_time_pass(LONG_SECONDS)
    customer.reload()
    customer.get_by_role("button", name="Book a time instead").click()
    dialog = customer.get_by_role("dialog", name="Book a time instead?")
    expect(dialog).to_have_accessible_description(re.compile("Nothing is charged"))
    camera.take(customer, "book a time instead")
    dialog.get_by_role("button", name="Choose a time").click()
    expect(customer.get_by_label("Describe what it does")).to_have_value("It rattles at 60.")
    expect(customer.get_by_label("Time, if not now")).to_be_focused()


def test_who_waits_until_it_expires_is_told_and_may_ask_again(
    account: Account, windows: Windows, camera: Camera
) -> None:
    customer = windows.open()
    asked(account, customer, "It smokes.")
    account.world.let_time_pass(3 * 3600)
    account.sql("SELECT expire_orphaned_sessions()")
    customer.reload()
    at_stage(customer, "over")
    expect(customer.get_by_role("heading", name="No mechanic could come in time")).to_be_visible()
    camera.take(customer, "expired")
    customer.get_by_role("button", name="Ask again").click()
    expect(customer.get_by_label("Describe what it does")).to_have_value("It smokes.")


def test_a_mechanic_who_gives_it_back_is_not_passed_over_in_silence(
    account: Account, windows: Windows, camera: Camera
) -> None:
    customer, mechanic = windows.open(), signed_in(account, windows.open(), "Mia Moreno")
    session_id = asked(account, customer)
    customer.context.set_offline(offline=True)  # so that it does not begin at once
    gone(account, "customer", session_id)
    accepted(mechanic)
    at_stage(mechanic, "connecting")
    expect(mechanic.get_by_text("is not on this page just now")).to_be_visible()
    camera.take(mechanic, "alone")
    mechanic.get_by_role("button", name="Give it back").click()
    mechanic.wait_for_url(re.compile("mechanic.html"))
    customer.context.set_offline(offline=False)
    expect(customer.get_by_text("The mechanic who accepted could not make it.")).to_be_visible()
    at_stage(customer, "searching")
    camera.take(customer, "let down")
    windows.troubles.overlook("ERR_INTERNET_DISCONNECTED")


def test_who_waits_for_a_word_in_vain_may_ask_for_another_mechanic(
    account: Account, windows: Windows, camera: Camera
) -> None:
    customer, mechanic = windows.open(phone=True), signed_in(account, windows.open(), "Mia Moreno")
    session_id = asked(account, customer)
    customer.context.set_offline(offline=True)  # so that it does not begin at once
    gone(account, "customer", session_id)
    accepted(mechanic)
    at_stage(mechanic, "connecting")
    mechanic.close()
    gone(account, "mechanic", session_id)
    customer.context.set_offline(offline=False)
    at_stage(customer, "connecting")
    expect(customer.get_by_role("button", name="Ask for another mechanic")).to_have_count(0)
    account.world.let_time_pass(SILENT_SECONDS)
    customer.reload()
    expect(customer.get_by_text("Mia Moreno has not written yet.")).to_be_visible()
    camera.take(customer, "silent")
    customer.get_by_role("button", name="Ask for another mechanic").click()
    at_stage(customer, "searching")
    expect(customer.get_by_text("You have your old place in line.")).to_be_visible()
    windows.troubles.overlook("ERR_INTERNET_DISCONNECTED")
