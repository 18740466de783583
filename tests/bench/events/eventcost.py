"""Rows: requests a second with events on against off, and what one accept costs the processor with and without.

Off is the same product without the outbox's triggers and without publishing. On publishes to a bus that takes
everything at once and has no consumers, which in production run on other machines; with consumers they are here,
on the same processors, as everything else is. All take turns within a round; the first round is thrown away.
"""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.events.bus import bench_bus
from bench.http.load import CLIENTS, REQUESTS_PER_WALK, Load
from bench.http.server import bench_server
from bench.http.stacks import Variant, deployed
from bench.measure import machine
from bench.measure.judge import Row, Target, noise

ROUNDS: Final = 8
WALKS: Final = 5
AT_LEAST: Final = Target(0.90, at_least=True)


def rows() -> Iterator[Row]:
    """Throughput on against off, without and with consumers."""
    with bench_server(durable=True) as server, bench_bus() as bus, tempfile.TemporaryDirectory() as folder:
        variants = {
            "off": Variant({}, events=False),
            "on": Variant({"AWS_ENDPOINT_URL_EVENTBRIDGE": bus.endpoint}),
            "on, with consumers": Variant({}),
        }
        with ExitStack() as stack:
            loads = {
                name: Load(stack.enter_context(deployed(server, f"v{number}", variant, Path(folder) / f"{number}")))
                for number, (name, variant) in enumerate(variants.items())
            }
            samples: dict[str, list[float]] = {name: [] for name in loads}
            for load in loads.values():
                load.rate(1)  # starts the processes
            busy = machine.busy()
            for number in range(ROUNDS + 1):
                for name, load in loads.items():
                    rate = load.rate(WALKS)
                    if number:
                        samples[name].append(rate)
    refused = noise(samples["off"], busy)
    for name, target in (("on", AT_LEAST), ("on, with consumers", None)):
        yield Row(
            name=f"requests a second with events {name}, {CLIENTS} clients, {REQUESTS_PER_WALK} to a consultation",
            unit="/s",
            measured=statistics.median(samples[name]),
            reference=statistics.median(samples["off"]),
            reference_name="off",
            target=target,
            refused=refused,
            cause="4 of 8 requests publish before they answer: a signed PutEvents and a mark, intakes a fetch too",
            samples={name: samples[name], "off": samples["off"]},
        )
