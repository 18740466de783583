"""template.yaml as CloudFormation gets it: loops (Fn::ForEach) written out, then SAM's transform."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from cfnlint.decode import decode
from cfnlint.template import Template
from cfnlint.template.transforms.transform import language_extension
from samtranslator.public.parser import Parser
from samtranslator.public.translator import Translator

ROOT = Path(__file__).parents[3]
REGION = "eu-central-1"

type Document = dict[str, Any]


def expanded_template() -> Document:
    """Return template.yaml with its loops and anchors written out, intrinsics in their long form."""
    file = str(ROOT / "template.yaml")
    parsed, problems = decode(file)
    assert not problems
    # CloudFormation runs AWS::LanguageExtensions before SAM's transform; aws-sam-translator does not know it.
    refused, expanded = language_extension(Template(file, parsed, [REGION]))
    assert not refused
    document: Document = json.loads(json.dumps(expanded))
    return document


def transformed_template(template: Document, uploaded: Callable[[str], str]) -> Document:
    """Return an expanded template after SAM's transform; `uploaded` says where a resource's code was put in S3."""
    document = json.loads(json.dumps(template))
    for name, resource in document["Resources"].items():
        for key in ("CodeUri", "ContentUri"):
            if key in resource["Properties"]:
                resource["Properties"][key] = uploaded(name)
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    made: Document = translator.translate(document, {})
    return made


if __name__ == "__main__":
    print(json.dumps(transformed_template(expanded_template(), lambda _name: "s3://bucket/key"), indent=1))
