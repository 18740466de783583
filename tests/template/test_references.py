"""The template is consistent: every name in it exists, whatever parameters are given."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

type Document = dict[str, Any]

GROUPS = {"customers", "mechanics", "admins"}
# CloudFormation takes 500 resources. A function costs five to seven: at 450 split the stack, not at 500.
RESOURCES = 450


def references(value: Any) -> Iterator[str]:  # noqa: ANN401 - any part of a template
    """Yield every logical id or parameter that is mentioned below `value`."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item[0]
            elif key == "Fn::Sub" and isinstance(item, str):
                yield from re.findall(r"\$\{([\w:]+)", item)
            else:
                yield from references(item)


def test_nothing_undefined_is_mentioned(template: Document, transformed: Document) -> None:
    known = set(template["Parameters"]) | set(transformed)
    mentioned = set(references(transformed)) | set(references(template["Outputs"]))
    assert {name for name in mentioned if not name.startswith("AWS::")} <= known


def test_every_parameter_is_used(template: Document) -> None:
    parts = [part for name, part in template.items() if name != "Parameters"]
    assert set(template["Parameters"]) <= set(references(parts))


def test_nothing_depends_on_a_resource_that_may_be_absent(template: Document, transformed: Document) -> None:
    optional = {name: each["Condition"] for name, each in transformed.items() if "Condition" in each}
    for name, resource in transformed.items():
        holds = implied(template, resource.get("Condition"))
        unguarded = set(references(without_branches(resource))) & set(optional)
        assert all(optional[each] in holds for each in unguarded), (name, unguarded)
    for output in template["Outputs"].values():
        assert all(optional[each] == output["Condition"] for each in references(output) if each in optional)


def implied(template: Document, condition: str | None) -> set[str]:
    """Return the conditions that hold where one holds: itself, and the parts that it joins by Fn::And."""
    if condition is None:
        return set()
    parts = template["Conditions"][condition].get("Fn::And", [])
    return {condition, *(part["Condition"] for part in parts if "Condition" in part)}


def without_branches(value: Any) -> Any:  # noqa: ANN401 - any part of a template
    """Return `value` without what stands inside an Fn::If, which is what guards an optional resource."""
    if isinstance(value, list):
        return [without_branches(item) for item in value]
    if isinstance(value, dict):
        return {key: without_branches(item) for key, item in value.items() if key != "Fn::If"}
    return value


def test_every_parameter_and_output_says_what_it_is_for(template: Document) -> None:
    for part in ("Parameters", "Outputs"):
        assert all(each["Description"] for each in template[part].values())


def test_the_pool_has_the_three_groups_of_the_design(transformed: Document) -> None:
    groups = [each for each in transformed.values() if each["Type"] == "AWS::Cognito::UserPoolGroup"]
    assert {group["Properties"]["GroupName"] for group in groups} == GROUPS
    trigger = transformed["UserPool"]["Properties"]["LambdaConfig"]["PostConfirmation"]
    assert trigger == {"Fn::GetAtt": ["PostConfirmationFunction", "Arn"]}


def test_the_stack_stays_well_below_what_cloudformation_takes(transformed: Document) -> None:
    assert len(transformed) < RESOURCES


def test_what_cloudformation_gets_passes_its_linter(deployed: Document, tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    # "Not used" there are AllowedOrigins, which SAM wrote into the definition of the API, and LogGroups, which the
    # loop has looked up.
    file.write_text(json.dumps(deployed), encoding="utf-8")
    linter = str(Path(sys.executable).with_name("cfn-lint"))
    command = [linter, "--ignore-checks", "W1030", "W2001", "W7001", "--", str(file)]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
