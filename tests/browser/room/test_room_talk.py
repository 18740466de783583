"""Two people talk on the session's page; one of them loses the network, reloads, or has a second device."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, Route, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, hide, say, signed_in
from support.browser.meeting import Meeting, accepted, asked, messages, met, words
from support.browser.window import Camera, Windows

MESSAGES = re.compile(r"/api/sessions/[0-9a-f-]{36}/messages$")


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return replace(console_settings(), evidence="witnessed")


def hears(page: Page, text: str) -> None:
    """Wait until a message stands in somebody's window."""
    expect(messages(page).get_by_text(text, exact=True)).to_be_visible()


def stored(account: Account, meeting: Meeting) -> list[str]:
    """What people have said, as the database has it, in order."""
    rows = account.world.owner.execute(
        "SELECT text FROM session_messages WHERE session_id = %s AND role <> 'system' ORDER BY seq",
        [meeting.session_id],
    )
    return [row["text"] for row in rows]


def test_two_people_talk_and_know_that_they_are_heard(account: Account, windows: Windows, camera: Camera) -> None:
    meeting = met(account, windows, phone=True)
    customer, mechanic = meeting.customer, meeting.mechanic
    for page in (customer, mechanic):
        expect(page.locator(".presence")).to_have_text("here")
    expect(customer.get_by_text("Nothing is charged before you have both written.")).to_be_visible()
    say(mechanic, "Does it squeal when it is wet?")
    hears(customer, "Does it squeal when it is wet?")
    expect(mechanic.locator(".mark")).to_have_text("Read")
    customer.get_by_label("Message", exact=True).press_sequentially("Only then")
    expect(mechanic.get_by_text("Cora Castillo is typing …")).to_be_visible()
    customer.get_by_role("button", name="Send").click()
    hears(mechanic, "Only then")
    expect(mechanic.get_by_text("is typing")).to_have_count(0)
    expect(customer.get_by_text("It is free.")).to_be_visible()
    expect(customer.get_by_text("of 5:00 included")).to_be_visible()
    for page in (customer, mechanic):
        expect(page.get_by_text(re.compile(r"^4:\d\d left$"))).to_be_visible()
    camera.take(customer, "live")
    assert words(customer) == words(mechanic) == ["Does it squeal when it is wet?", "Only then"]


def test_a_screen_reader_hears_each_new_message_once(account: Account, windows: Windows) -> None:
    meeting = met(account, windows)
    said = meeting.customer.get_by_role("log", name="New messages")
    for text in ("One.", "Two."):
        say(meeting.mechanic, text)
        hears(meeting.customer, text)
    say(meeting.customer, "Mine is not read to me.")
    hears(meeting.mechanic, "Mine is not read to me.")
    heard = [line for line in said.locator("p").all_inner_texts() if line.startswith("Mia Moreno:")]
    assert heard == ["Mia Moreno: One.", "Mia Moreno: Two."]
    meeting.customer.reload()
    hears(meeting.customer, "Two.")
    assert said.locator("p").all_inner_texts() == []


def test_whoever_is_offline_in_the_middle_misses_nothing(account: Account, windows: Windows, camera: Camera) -> None:
    meeting = met(account, windows, phone=True)
    customer, mechanic = meeting.customer, meeting.mechanic
    say(customer, "Hello.")
    hears(mechanic, "Hello.")
    customer.context.set_offline(offline=True)
    expect(customer.get_by_text("You are offline. What you write is kept")).to_be_visible()
    say(customer, "Are you there?")
    say(customer, "I cannot see you.")
    expect(customer.locator(".messages .waiting")).to_have_count(2)
    for number in range(3):
        say(mechanic, f"I ask question {number}.")
    expect(mechanic.locator(".presence")).to_have_text("not here just now")
    camera.take(customer, "offline")
    customer.context.set_offline(offline=False)
    expect(customer.get_by_text("Connected again.")).to_be_visible()
    expect(customer.locator(".strip")).to_be_hidden()
    hears(customer, "I ask question 2.")
    hears(mechanic, "I cannot see you.")
    expect(customer.locator(".messages .waiting")).to_have_count(0)
    everything = stored(account, meeting)
    assert sorted(everything) == sorted(
        ["Hello.", "Are you there?", "I cannot see you.", *(f"I ask question {number}." for number in range(3))]
    )
    assert words(customer) == words(mechanic) == everything
    windows.troubles.expect("ERR_INTERNET_DISCONNECTED")


def test_a_message_whose_answer_was_lost_is_there_once(account: Account, windows: Windows) -> None:
    meeting = met(account, windows)
    lost: list[Route] = []

    def lose_the_first_answer(route: Route) -> None:
        if lost or route.request.method != "POST":
            route.continue_()
            return
        lost.append(route)
        route.fetch()
        route.abort()

    meeting.customer.route(MESSAGES, lose_the_first_answer)
    say(meeting.customer, "It is a Corolla.")
    say(meeting.customer, "From 2015.")
    hears(meeting.mechanic, "From 2015.")
    expect(meeting.customer.locator(".messages .waiting")).to_have_count(0)
    assert len(lost) == 1
    said = ["It is a Corolla.", "From 2015."]
    assert stored(account, meeting) == words(meeting.customer) == words(meeting.mechanic) == said
    windows.troubles.expect("ERR_FAILED")


def test_what_was_written_without_a_network_outlives_a_reload(account: Account, windows: Windows) -> None:
    meeting = met(account, windows)
    meeting.customer.route(
        MESSAGES, lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    say(meeting.customer, "I wrote this in a tunnel.")
    meeting.customer.get_by_label("Message", exact=True).fill("And this is not finished")
    meeting.customer.reload()
    meeting.customer.unroute(MESSAGES)
    hears(meeting.mechanic, "I wrote this in a tunnel.")
    expect(meeting.customer.get_by_label("Message", exact=True)).to_have_value("And this is not finished")
    expect(meeting.customer.locator(".messages .waiting")).to_have_count(0)
    assert stored(account, meeting) == ["I wrote this in a tunnel."]
    windows.troubles.expect("ERR_FAILED")


def test_two_devices_of_one_person_show_the_same(account: Account, windows: Windows) -> None:
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    phone, laptop = windows.open(phone=True), windows.open()
    signed_in(account, laptop, "Cora Castillo")
    signed_in(account, phone, "Cora Castillo")
    laptop.get_by_label("Describe what it does").fill("It stalls.")
    for label, value in (("Year", "2015"), ("Make", "Toyota"), ("Model", "Corolla"), ("Your name", "Cora Castillo")):
        laptop.get_by_label(label, exact=True).fill(value)
    laptop.get_by_label("E-mail").fill("cora@example.com")
    laptop.get_by_label("I have read and agree").check()
    laptop.get_by_label("Free").check()
    laptop.get_by_role("button", name="Ask now").click()
    at_stage(phone, "searching")  # the page of who asks for help turns into the session's by itself
    accepted(mechanic, "It stalls.")
    for page in (phone, laptop, mechanic):
        at_stage(page, "live")
    say(phone, "At lights, mostly.")
    hears(laptop, "At lights, mostly.")
    expect(laptop.locator("li.mine .words")).to_have_text("At lights, mostly.")
    say(mechanic, "Is it warm then?")
    for page in (phone, laptop):
        hears(page, "Is it warm then?")
    laptop.close()
    expect(mechanic.locator(".presence")).to_have_text("here")  # by the other device
    say(phone, "Yes.")
    hears(mechanic, "Yes.")
    assert words(phone) == words(mechanic) == ["At lights, mostly.", "Is it warm then?", "Yes."]


def test_every_state_is_the_same_page_and_outlives_a_reload(account: Account, windows: Windows) -> None:
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    customer = windows.open()
    asked(account, customer)
    address = customer.url
    say(customer, "I wait at home.")
    customer.reload()
    at_stage(customer, "searching")
    hears(customer, "I wait at home.")
    accepted(mechanic)
    hears(mechanic, "I wait at home.")
    for stage in ("live", "over"):
        for page in (customer, mechanic):
            at_stage(page, stage)
            page.reload()
            at_stage(page, stage)
            hears(page, "I wait at home.")
            expect(page.locator("active-session-banner")).to_have_count(0)
        if stage == "live":
            say(mechanic, "I am here.")
            hears(customer, "I am here.")
            mechanic.get_by_role("button", name="End session").click()
            mechanic.get_by_role("button", name="End it now").click()
    assert customer.url == address
    expect(customer.get_by_label("Message", exact=True)).to_be_hidden()


def test_what_came_while_nobody_looked_is_counted_in_the_title(account: Account, windows: Windows) -> None:
    meeting = met(account, windows)
    hide(meeting.customer, hidden=True)
    for text in ("Hello?", "Are you there?"):
        say(meeting.mechanic, text)
    expect(meeting.customer).to_have_title(re.compile(r"^\(2\) Mia Moreno"))
    expect(meeting.mechanic.locator(".mark")).to_have_text("Sent")
    hide(meeting.customer, hidden=False)
    expect(meeting.customer).to_have_title(re.compile(r"^Mia Moreno"))
    expect(meeting.mechanic.locator(".mark")).to_have_text("Read")


def test_more_minutes_are_agreed_and_paid_in_another_tab(account: Account, windows: Windows) -> None:
    account.cloud.stripe.set_retries(first=0.1, longest=0.5)
    pack = '[{"code": "m15", "minutes": 15, "price_cents": 599, "credits": 0}]'
    account.world.owner.execute("UPDATE plans SET minute_packs = %s WHERE code = 'free'", [pack])
    meeting = met(account, windows)
    customer, mechanic = meeting.customer, meeting.mechanic
    customer.get_by_text("More minutes").click()
    customer.get_by_role("button", name="15 minutes for $5.99").click()
    expect(customer.get_by_text("Mia Moreno has not answered yet.")).to_be_visible()
    mechanic.get_by_role("button", name="Agree").click()
    with customer.expect_popup() as opened:
        customer.get_by_role("button", name="Pay in a new tab").click()
    opened.value.get_by_label("E-mail").fill("cora@example.com")
    opened.value.get_by_label("Name on card").fill("Cora Castillo")
    opened.value.get_by_role("button", name="Pay", exact=True).click()
    for page in (customer, mechanic):
        expect(page.get_by_text(re.compile(r"^1\d:\d\d left$"))).to_be_visible()
        expect(messages(page).get_by_text("Minutes were added: the consultation goes on.")).to_be_visible()
    at_stage(customer, "live")
