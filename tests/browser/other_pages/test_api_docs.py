"""/api/docs: operations are searched, tried with one's own token, and copied as curl."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings
from support.browser.window import Camera, Windows


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def tried(page: Page, operation: str) -> None:
    page.locator(f"#{operation}").get_by_text("Try it, or copy it as curl").click()


@pytest.mark.parametrize("window", [{}, {"phone": True, "dark": True}], ids=["laptop", "phone"])
def test_an_operation_is_found_and_called(
    account: Account, windows: Windows, camera: Camera, window: dict[str, bool]
) -> None:
    page = windows.open(**window)
    page.goto(f"{account.cloud.api_url}/api/docs")
    page.get_by_label("Search operations").fill("post intake")
    expect(page.get_by_text(re.compile(r"operations? found"))).to_be_visible()
    expect(page.locator("#listPlans")).to_be_hidden()
    intake = page.locator("#startIntake")
    tried(page, "startIntake")
    intake.get_by_role("button", name="Send").click()
    expect(intake).to_contain_text("This operation needs a token")
    page.get_by_label("Your token").fill((account.customer().authorization or "").removeprefix("Bearer "))
    body = intake.get_by_label("Body")
    body.fill("{}")
    expect(intake.get_by_label("The call as curl")).to_contain_text("-d '{}'")
    expect(intake.get_by_label("The call as curl")).to_contain_text('"Authorization: Bearer $TOKEN"')
    intake.get_by_role("button", name="Send").click()
    expect(intake.get_by_label("Answer")).to_contain_text("/problems/validation")
    windows.troubles.expect("422")
    camera.take(page, "tried")
    page.get_by_label("Search operations").fill("list plans")
    tried(page, "listPlans")
    page.locator("#listPlans").get_by_role("button", name="Send").click()
    expect(page.locator("#listPlans").get_by_label("Answer")).to_contain_text('"plans"')
    camera.take(page, "found")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.get_by_label("Search operations").fill("retired")
    expect(page.locator("#retiredRequestsGet")).to_contain_text("deprecated")
    expect(page.locator("#retiredRequestsGet")).not_to_contain_text("Try it")
