"""Reconciling by operators and by the schedule: the command's table and exit status, the function and its records."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from autodoctor.payments.reconcile import reconcile, statement
from autodoctor.payments.reconcile.runs import newest_runs
from localcloud.cli import app
from localcloud.stripe.http.service import running_stripe
from support.http.lambda_event import Context, loaded
from support.money.checkout_env import CheckoutEnv
from support.money.reconcile_env import NOW, ReconcileEnv
from support.money.stripe_shop import client_of
from support.world import World

if TYPE_CHECKING:
    from localcloud.host.logline import LogLine

DAY = 24 * 3600
AT_ONCE = ("--grace", "0", "--fee-grace", "0")


@pytest.fixture
def reconcile_env(checkout_env: CheckoutEnv) -> ReconcileEnv:
    """Give the test books with one refund that nobody heard of."""
    reconcile_env = ReconcileEnv.of(checkout_env)
    checkout_env.stripe.add_funds(10_000)
    _, charge = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.send()
    checkout_env.stripe.refund(charge, 300)
    return reconcile_env


def command(reconcile_env: ReconcileEnv, *arguments: str) -> Result:
    """Run `autodoctor reconcile` on the database of the test; Stripe is in the environment."""
    url = reconcile_env.checkout_env.world.urls.app_url
    return CliRunner().invoke(app, ["reconcile", "--database-url", url, *AT_ONCE, *arguments])


def test_a_difference_is_a_row_of_the_table_and_exit_status_1(reconcile_env: ReconcileEnv) -> None:
    done = command(reconcile_env)
    assert done.exit_code == 1, done.output
    refund = reconcile_env.checkout_env.stripe.objects("refund")[-1]["id"]
    (row,) = [line for line in done.output.splitlines() if line.lstrip().startswith("refund_unbooked")]
    assert f"refund:{refund}" in row
    assert "-3.00" in row
    assert "(--repair)" in row
    assert "differences: 1 refund_unbooked" in done.output


def test_without_repair_nothing_is_booked_and_with_it_once(reconcile_env: ReconcileEnv) -> None:
    count = "SELECT count(*) FROM ledger_transfer"
    before = reconcile_env.checkout_env.one(count)
    shown = json.loads(command(reconcile_env, "--json").output)
    assert (shown["counts"], shown["finished"]) == ({"refund_unbooked": 1}, True)
    assert reconcile_env.checkout_env.one(count) == before
    asked = len(reconcile_env.checkout_env.stripe.objects("refund"))
    repaired = command(reconcile_env, "--repair", "--json")
    assert repaired.exit_code == 0, repaired.output
    assert json.loads(repaired.output)["repaired"]
    booked = reconcile_env.checkout_env.one(count)
    assert booked > before
    assert len(reconcile_env.checkout_env.stripe.objects("refund")) == asked
    again = command(reconcile_env, "--repair")
    assert (again.exit_code, reconcile_env.checkout_env.one(count)) == (0, booked)
    assert "differences: none" in again.output


def test_what_is_young_is_left_to_the_next_run(reconcile_env: ReconcileEnv) -> None:
    url = reconcile_env.checkout_env.world.urls.app_url
    done = CliRunner().invoke(app, ["reconcile", "--database-url", url])
    assert done.exit_code == 0, done.output
    assert "1 still on their way" in done.output


def test_since_leaves_out_what_ended_before(reconcile_env: ReconcileEnv) -> None:
    assert command(reconcile_env, "--since", "2100-01-01").exit_code == 0
    done = command(reconcile_env, "--since", "2020-01-01", "--json")
    assert (done.exit_code, json.loads(done.output)["counts"]) == (1, {"refund_unbooked": 1})


def test_a_key_of_the_other_mode_is_the_one_difference(reconcile_env: ReconcileEnv) -> None:
    report = reconcile(
        reconcile_env.checkout_env.world.app, reconcile_env.client, livemode=True, grace=NOW, fee_grace=NOW
    )
    assert [each.kind for each in report.differences] == ["other_mode"]


def test_stripe_away_is_exit_status_2(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.checkout_env.stripe.fail(mode="error", method="GET", path="/v1/balance", times=10)
    done = command(reconcile_env)
    assert (done.exit_code, "reconcile: " in done.output) == (2, True)


def run_function(seconds: float = 900) -> dict[str, Any]:
    """Run the schedule's function in this process."""
    answer: dict[str, Any] = loaded("reconcile").handler({}, Context(seconds))
    return answer


def test_the_function_keeps_what_it_found_for_admins(
    reconcile_env: ReconcileEnv, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    world = reconcile_env.checkout_env.world
    world.let_time_pass(3 * DAY)
    reconcile_env.checkout_env.stripe.advance(3 * DAY)
    answer = run_function()
    assert answer["counts"] == {"refund_unbooked": 1}
    (run,) = newest_runs(world.app).runs
    assert (run.finished, run.found) == (True, 1)
    assert run.report["differences"][0]["kind"] == "refund_unbooked"
    written = capsys.readouterr().out
    assert '"ReconcileDifferences":[1.0]' in written.replace(" ", "")
    (line,) = [each for each in caplog.records if each.getMessage() == "books differ"]
    assert (line.__dict__["kind"], line.__dict__["count"]) == ("refund_unbooked", 1)
    assert "Cora" not in written + caplog.text


@pytest.mark.usefixtures("reconcile_env")
def test_a_run_out_of_time_says_so_and_the_next_one_goes_on() -> None:
    answer = run_function(seconds=100)
    assert answer["finished"] is False
    assert answer["counts"] == {}
    assert run_function()["finished"] is True


def test_the_newest_400_runs_are_kept(world: World) -> None:
    row = "INSERT INTO reconcile_runs (started_at, finished, found, report) SELECT now(), true, 0, '{}'"
    world.owner.execute(f"{row} FROM generate_series(1, 400)")
    oldest = world.one("SELECT min(id::text) FROM reconcile_runs")
    world.owner.execute(row)
    assert world.one("SELECT count(*) FROM reconcile_runs") == 400
    assert world.one("SELECT min(id::text) FROM reconcile_runs") > oldest


def test_a_hundred_movements_are_one_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[LogLine] = []
    with running_stripe(log=lines.append) as stripe:
        for _ in range(250):
            stripe.add_funds(100)
        client = client_of(stripe)

        def compared() -> tuple[int, int]:
            """How many calls listed the statement, and how many cents they came to."""
            before = len(lines)
            report = reconcile(world.app, client, grace=NOW, fee_grace=NOW)
            assert report.differences == ()
            assert report.totals.stripe_balance == report.totals.others == 25_000
            return sum("balance_transactions" in str(line) for line in lines[before:]), report.movements

        calls, movements = compared()
        stretches = 6  # from the account's beginning to now
        assert (calls <= 3 + stretches, movements) == (True, 250)
        assert compared() == (3, 250)  # the last day again, and not the years before it
        with world.without_triggers() as books:
            books.execute("DELETE FROM stripe_movements")
        monkeypatch.setattr(statement, "MOST_PAGES", 1)  # a busy stretch is cut until it is short
        assert compared()[1] == 250


def test_a_movement_that_the_copy_missed_is_found_by_the_balance(reconcile_env: ReconcileEnv) -> None:
    database, world = reconcile_env.checkout_env.world.app, reconcile_env.checkout_env.world
    reconcile(database, reconcile_env.client, grace=NOW, fee_grace=NOW)
    with world.without_triggers() as books:
        books.execute("UPDATE stripe_statement SET whole_until = whole_until + interval '1 day'")
    reconcile_env.checkout_env.stripe.refund(reconcile_env.other_business())
    reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.fees_booked()
    reconcile_env.checkout_env.stripe.advance(DAY / 2)  # it is shown as of half a day ago
    report = reconcile(database, reconcile_env.client, grace=NOW, fee_grace=NOW)
    assert report.differences == ()
    assert report.totals.stripe_balance == report.totals.statement
