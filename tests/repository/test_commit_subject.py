"""The hook that checks a commit's message: its pattern against a table, and pre-commit itself on both outcomes."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

CONFIG: Final = Path(__file__).parents[2] / ".pre-commit-config.yaml"

GOOD: Final = (
    "payments: retry a refund that the bank refused",
    "payments: retry a refund\n\nThe bank may take it tomorrow.\n",
    "docs: say it once\n# Please enter the commit message for your changes.\n",
    "events/feed: forget old pushes\n",
    "integrity, legacy: say it once",
    "ci: " + "x" * 68,
    "Merge branch 'main' into payments",
    'Revert "payments: retry a refund that the bank refused, and more words than a subject of ours may have"',
    "fixup! payments: retry a refund",
)
BAD: Final = (
    "",
    "Retry a refund",
    "payments:",
    "payments: ",
    "payments:retry a refund",
    "Payments: retry a refund",
    "a scope of words: retry a refund",
    "ci: " + "x" * 69,
    "payments: retry a refund\nThe bank may take it tomorrow.\n",
    "\npayments: retry a refund",
)


@pytest.mark.parametrize("message", GOOD)
def test_a_subject_with_a_scope_passes(message: str) -> None:
    assert fits(message)


@pytest.mark.parametrize("message", BAD)
def test_a_subject_without_a_scope_or_too_long_is_refused(message: str) -> None:
    assert not fits(message)


@pytest.mark.parametrize(("message", "code"), [(GOOD[0], 0), (BAD[1], 1)], ids=["good", "bad"])
def test_pre_commit_judges_the_message(
    message: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "cache"))
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):  # set where a hook runs the tests
        monkeypatch.delenv(variable, raising=False)
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    shutil.copy(CONFIG, repository)
    subprocess.run(["git", "add", CONFIG.name], cwd=repository, check=True)
    (repository / "message").write_text(message)
    hook = ["pre-commit", "run", "--hook-stage", "commit-msg", "--commit-msg-filename", "message"]
    assert subprocess.run(hook, cwd=repository, check=False).returncode == code


def fits(message: str) -> bool:
    """Whether pygrep finds the hook's pattern, as `--negate --multiline` has it look."""
    [hook] = [
        hook
        for repository in yaml.safe_load(CONFIG.read_text())["repos"]
        for hook in repository["hooks"]
        if hook["id"] == "commit-subject"
    ]
    return re.search(hook["entry"], message, re.MULTILINE | re.DOTALL) is not None
