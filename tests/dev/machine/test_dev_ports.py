"""Choosing ports: a taken port is noticed, named and skipped."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.host import ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    port = ports.scattered_port()
    with socket.create_server((ports.LOOPBACK, port)):
        yield port


def test_a_port_with_a_listener_is_not_free(taken: int) -> None:
    assert not ports.is_free(taken)


def test_a_block_with_a_taken_port_in_it_is_passed_over(taken: int) -> None:
    block = ports.free_block(taken - 1, size=2)
    assert taken < block < ports.FIRST_EPHEMERAL_PORT
    assert ports.is_free(block)
    assert ports.is_free(block + 1)


def test_the_search_ends_below_the_ephemeral_range() -> None:
    with pytest.raises(ports.NoFreePort):
        ports.free_block(ports.FIRST_EPHEMERAL_PORT - 1, size=2)


def test_the_holder_is_named(taken: int) -> None:
    holder = ports.holder_of(taken)
    assert holder is not None
    assert holder.pid == os.getpid()
    assert holder.command.split()[0] in Path("/proc/self/cmdline").read_text(encoding="utf-8")
    assert f"port {taken} is taken by process {os.getpid()}" in str(ports.PortTaken(taken))


def test_a_free_port_has_no_holder() -> None:
    assert ports.holder_of(ports.scattered_port()) is None
