"""Statements over HTTP: whose they are, and as what they are answered."""

import base64
import csv
import io
import re
from decimal import Decimal

import pytest

from payments.documents.test_documents_over_http import words_of
from support.http.lambda_event import Answer, Handler, call, claims, event, loaded
from support.money.refund_env import SHARE, RefundEnv
from support.world import Mechanic

LIST = "GET /api/mechanic/statements"
ONE = "GET /api/mechanic/statements/{month}"


@pytest.fixture
def statements(refund_env: RefundEnv) -> Handler:
    """Give the test the function that answers documents, after a session that earned something."""
    refund_env.earned()
    handler: Handler = loaded("documents").handler
    return handler


def one(handler: Handler, mechanic: Mechanic, period: str, groups: str = "[mechanics]", **asked: str) -> Answer:
    headers = {"accept": asked["accept"]} if "accept" in asked else {}
    query = {"format": asked["form"]} if "form" in asked else {}
    caller = claims(groups, sub=str(mechanic.user_id))
    return call(handler, event(ONE, caller=caller, path={"month": period}, query=query, headers=headers))


def month_of(handler: Handler, mechanic: Mechanic) -> str:
    answer = call(handler, event(LIST, caller=claims("[mechanics]", sub=str(mechanic.user_id))))
    (listed,) = answer.json["statements"]
    assert (listed["earnedCents"], listed["paidOutCents"], listed["closing"]) == (
        SHARE,
        0,
        {"payableCents": SHARE, "owedCents": 0},
    )
    assert answer.json["years"] == [listed["month"][:4]]
    return str(listed["month"])


def test_a_mechanic_sees_their_own_and_nobody_elses(statements: Handler, refund_env: RefundEnv) -> None:
    month = month_of(statements, refund_env.mechanic)
    answer = one(statements, refund_env.mechanic, month)
    assert [line["payableCents"] for line in answer.json["lines"]] == [SHARE]
    other = refund_env.checkout_env.world.mechanic()
    assert one(statements, other, month).json["lines"] == []
    assert one(statements, other, month, "[customers]").status == 403
    assert one(statements, refund_env.mechanic, "2026-13").status == 404
    assert one(statements, refund_env.mechanic, month, form="xml").pointers == ["/format"]


def test_a_year_is_a_csv_whose_numbers_are_numbers(statements: Handler, refund_env: RefundEnv) -> None:
    refund_env.checkout_env.world.owner.execute("UPDATE plans SET name = '=1+1' WHERE code = 'quick'")
    year = month_of(statements, refund_env.mechanic)[:4]
    answer = one(statements, refund_env.mechanic, year, accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f"statement-{year}.csv" in answer.headers["content-disposition"]
    opening, earned, closing = csv.DictReader(io.StringIO(answer.text))
    assert (opening["booked_at"], opening["payable_balance_usd"]) == (f"{year}-01-01T00:00:00Z", "0.00")
    assert Decimal(earned["payable_usd"]) * 100 == SHARE
    assert earned["text"].startswith("Session: =1+1, session of")  # no formula: it does not begin with it
    assert closing["payable_balance_usd"] == "6.99"


def test_it_is_printed_with_what_is_held(statements: Handler, refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    world.owner.execute("UPDATE mechanics SET status = 'suspended', name = 'Mia <b>Moreno</b>'")
    world.owner.execute("INSERT INTO settings VALUES ('receipt_issuer', E'AutoDoctor\\n1 Garage Road')")
    month = month_of(statements, refund_env.mechanic)
    page = one(statements, refund_env.mechanic, month, accept="text/html,application/xhtml+xml;q=0.9").text
    for words in (f"Statement {month}", "1 Garage Road", "$6.99", "Your account is suspended", "Mia &lt;b&gt;Moreno"):
        assert words in page
    answer = one(statements, refund_env.mechanic, month, form="pdf")
    text = words_of(base64.b64decode(answer.text))
    assert f"Statement {month}" in text
    assert text.count("$6.99") == 4  # the total, the balance, the line, and what is held


def test_a_long_one_has_several_pages(statements: Handler, refund_env: RefundEnv) -> None:
    refund_env.checkout_env.world.owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
        " SELECT 'gift:' || n, 'platform_revenue', 'mechanic:' || m.id || ':payable', 700 + n, 'usd', 'correction'"
        "  FROM mechanics m CROSS JOIN generate_series(1, 150) AS n"
    )
    month = refund_env.checkout_env.one("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')")
    pdf = base64.b64decode(one(statements, refund_env.mechanic, month, form="pdf").text)
    assert len([each for each in re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL) if b"Tj" in each]) == 4
    assert {f"${cents / 100:.2f}" for cents in range(701, 851)} <= set(words_of(pdf))
