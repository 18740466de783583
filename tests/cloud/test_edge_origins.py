"""Which origins the local gateway lets in: those of the template, and in `dev` every port of this machine."""

import pytest

from localcloud.commands.dev import ANY_PORT_HERE
from localcloud.gateway.edge import answer_headers
from localcloud.stack.http_api import Cors

HERE = Cors(tuple(ANY_PORT_HERE.split(",")), (), (), (), None, credentials=False)


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://localhost:5173", "http://127.0.0.1:8080"])
def test_every_port_of_this_machine(origin: str) -> None:
    assert ("access-control-allow-origin", origin) in answer_headers(HERE, origin)


@pytest.mark.parametrize(
    "origin", ["http://localhost.attacker.example:80", "https://localhost:3000", "http://attacker.example:3000", "null"]
)
def test_no_other_host(origin: str) -> None:
    assert answer_headers(HERE, origin) == []
