"""The output of `sam build`, for the tests of the artefact."""

import platform
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam" / "build"
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@pytest.fixture(scope="session")
def built_template() -> Path:
    """Build for this machine's processor and return the template that `sam build` writes."""
    template = BUILD / "template.yaml"
    if not template.exists() or template.stat().st_mtime < _newest_source():
        architecture = ARCHITECTURES[platform.machine()]
        command = ["bash", ".ci/sam", "build", "--build-dir", str(BUILD)]
        override = ["--parameter-overrides", f"Architecture={architecture}"]
        subprocess.run([*command, *override], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    return template


def _newest_source() -> float:
    sources = [ROOT / "template.yaml", *(ROOT / "functions").rglob("*"), *(ROOT / "layers").rglob("*")]
    return max(each.stat().st_mtime for each in sources if "__pycache__" not in each.parts and each.is_file())
