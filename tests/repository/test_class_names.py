"""A class of the layer is known by its name alone, in a document, a traceback or a search."""

import ast
from collections import Counter
from pathlib import Path
from typing import Final

LAYER: Final = Path(__file__).parents[2] / "layers" / "shared" / "autodoctor"


def test_no_two_modules_have_a_class_of_the_same_name() -> None:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in LAYER.rglob("*.py")]
    names = [node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    public = Counter(name for name in names if not name.startswith("_"))
    assert public["AdminPlan"] == 1
    assert [name for name, modules in public.items() if modules > 1] == []
