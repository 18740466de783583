"""A run: a number of random sessions under faults everywhere, then rest, then the audit."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from support.chaos.audit import Audit
from support.chaos.background import at_work, come_to_rest
from support.chaos.chaos_env import Abandoned, ChaosEnv
from support.chaos.people import Lane, script
from support.chaos.stand_in import ONE_IN_FIVE

LANES: Final = 16


@dataclass(frozen=True)
class Outcome:
    """The course of a run, and the findings of its audit."""

    seed: int
    sessions: int
    seconds: float
    seconds_to_rest: float
    kills: Counter[str]
    dropped: int
    answers: Counter[str]
    coverage: Counter[str]
    findings: list[str]

    def __str__(self) -> str:
        killed, at_work = sum(self.kills.values()), self.kills["busy"]
        lines = [
            f"seed {self.seed}: {self.sessions} sessions in {self.seconds:.0f} s, {self.seconds_to_rest:.0f} s to rest",
            f"{killed} processes killed ({at_work} at work), {self.dropped} calls without an answer",
            *(f"  {count:6} {what}" for what, count in sorted(self.coverage.items())),
            *(f"  {count:6} answers {what}" for what, count in sorted(self.answers.items())),
        ]
        return "\n".join([*lines, *self.findings])


def play(env: ChaosEnv, sessions: int, kill_every: float, lanes: int = LANES) -> Outcome:
    """Play so many sessions, come to rest and audit.

    Raises what went wrong in a thread: the audit has no word in that.
    """
    began = time.monotonic()
    people = [Lane(env, env.new_mechanic(), env.chance(f"lane {number}")) for number in range(lanes)]
    env.workshop()
    for account in env.accounts[: lanes // 2]:
        env.stripe.ask("onboard", account=account)
    env.stripe.ask("available_after", seconds=10)  # what credits paid for waits for the balance until then
    env.stripe.fail_calls(ONE_IN_FIVE)
    env.pool.kill_every(kill_every)
    with at_work(env):
        _all_play(env, people, sessions)
        env.pool.kill_every(0)
    if env.trouble:
        raise ExceptionGroup(f"seed {env.seed}", [each for each in env.trouble if isinstance(each, Exception)])
    played = time.monotonic()
    come_to_rest(env)
    rested = time.monotonic()
    audit = Audit(env)
    findings = audit.findings()
    pool = env.pool
    return Outcome(
        env.seed,
        sessions,
        played - began,
        rested - played,
        pool.kills,
        pool.dropped,
        pool.answers,
        audit.coverage,
        findings,
    )


def _all_play(env: ChaosEnv, people: list[Lane], sessions: int) -> None:
    began = time.monotonic()
    numbers = iter(range(sessions))
    turn = threading.Lock()

    def live(lane: Lane) -> None:
        try:
            while not env.trouble:
                with turn:
                    number = next(numbers, None)
                if number is None:
                    return
                if number and number % 500 == 0:
                    print(f"{number} of {sessions} sessions begun after {time.monotonic() - began:.0f} s", flush=True)
                lane.play(script(env.seed, number))
        except Abandoned:
            return
        except BaseException as failure:  # noqa: BLE001 (the run ends with it)
            env.trouble.append(failure)

    threads = [threading.Thread(target=live, args=(lane,), daemon=True) for lane in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
