"""The table of template.yaml's parameters in README.md; `uv run python -m localcloud.stack.parameters` writes it."""

from pathlib import Path
from typing import Any, Final

from localcloud.stack.cloudformation import load

ROOT: Final = Path(__file__).parents[3]
README: Final = ROOT / "README.md"
_BEGIN: Final = "<!-- parameters: written by `uv run python -m localcloud.stack.parameters` -->\n"
_END: Final = "<!-- end of parameters -->\n"


def table() -> str:
    """Return the table: every parameter, its default, and what it is for."""
    parameters: Any = load(ROOT / "template.yaml")["Parameters"]
    rows = "".join(
        f"| `{name}` | {_default(parameter)} | {' '.join(parameter['Description'].split())} |\n"
        for name, parameter in parameters.items()
    )
    return f"\n| parameter | default | meaning |\n|---|---|---|\n{rows}\n"


def with_table(text: str) -> str:
    """Return the README with the table as it should be."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + table() + _END + after


def _default(parameter: dict[str, Any]) -> str:
    if "Default" not in parameter:
        return "**required**"
    value = str(parameter["Default"])
    return f"`{value}`" if value else "empty"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
