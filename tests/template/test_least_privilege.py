"""No right that nothing uses, and no call without a right: the roles of template.yaml against the functions' code."""

import pytest

from localcloud.stack.aws_calls import CALLS, modules_that_reach_aws
from localcloud.stack.permissions import DOCUMENT, Function, document, functions

FUNCTIONS = list(functions())


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: each.name)
def test_a_function_may_do_what_its_code_calls_and_nothing_else(function: Function) -> None:
    assert function.missing == set()
    assert function.unused == set()


def test_every_call_that_code_can_make_is_made_by_somebody() -> None:
    """A name of CALLS that was renamed would be found by nobody, and all its rights would seem unused."""
    made = {action for function in FUNCTIONS for action in function.calls}
    assert made == {action for actions in CALLS.values() for action in actions}


def test_no_module_reaches_aws_unseen() -> None:
    assert modules_that_reach_aws() <= {module for module, _ in CALLS}


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "uv run python -m localcloud.stack.permissions"
