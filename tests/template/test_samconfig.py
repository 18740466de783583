"""The README's samconfig example names existing parameters, and omits no required one."""

import re
import tomllib
from pathlib import Path
from typing import Any

from localcloud.stack.parameters import with_table

type Document = dict[str, Any]

BROUGHT = {"DatabaseHost", "AppSecretArn", "MigrationSecretArn"}


def example(root: Path) -> Document:
    readme = (root / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    lines = "\n".join(line.strip() for line in block.group(1).splitlines())
    commands: Document = tomllib.loads(lines)["default"]
    return commands


def given(root: Path) -> set[str]:
    parameters = example(root)["deploy"]["parameters"]["parameter_overrides"]
    return {each.partition("=")[0] for each in parameters}


def test_the_example_lets_sam_write_loops_out(root: Path, template: Document) -> None:
    assert template["Transform"] == ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]
    assert example(root)["global"]["parameters"] == {"language_extensions": True}


def test_every_parameter_of_the_example_exists(root: Path, template: Document) -> None:
    assert given(root) <= set(template["Parameters"])


def test_the_example_gives_every_parameter_without_a_default(root: Path, template: Document) -> None:
    needed = {name for name, each in template["Parameters"].items() if "Default" not in each}
    assert needed <= given(root) | BROUGHT


def test_the_table_of_parameters_is_that_of_the_template(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert readme == with_table(readme), "uv run python -m localcloud.stack.parameters"
    assert readme.count("| `MakeDatabase` |") == 1
