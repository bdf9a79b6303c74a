"""Rules that a linter does not know: where floats, asserts and exports may be."""

from __future__ import annotations

import ast

from tests.house.sources import Source, load_sources

# Hosts hand seconds to operating-system and network libraries, which want floats. Nothing below them may.
FLOAT_FLOORS = ("flockchain/node/", "flockchain/rpc/", "flockchain/client/", "flockchain/devnet/", "flockchain/cli/")


def test_no_float_decides_anything_on_the_chain() -> None:
    found = [
        f"{source.path}:{node.lineno}"
        for source in load_sources()
        if source.path.startswith("flockchain/") and not source.path.startswith(FLOAT_FLOORS)
        for node in ast.walk(source.tree)
        if _is_float(node)
    ]
    assert found == []


def test_no_bare_assert_in_product_code() -> None:
    found = [
        f"{source.path}:{node.lineno}"
        for source in load_sources()
        if not source.is_test
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_every_exported_name_exists_and_no_name_is_exported_twice() -> None:
    wrong = []
    for source in load_sources():
        exported = _get_exports(source)
        missing = set(exported) - _get_defined_names(source)
        if missing or len(exported) != len(set(exported)):
            wrong.append((source.path, sorted(missing)))
    assert wrong == []


def test_every_product_module_lists_its_exports() -> None:
    silent = [
        source.path
        for source in load_sources()
        if not source.is_test and _get_public_definitions(source) and not _get_exports(source)
        if not source.path.startswith("tools/")
    ]
    assert silent == []


def test_a_package_door_holds_no_code() -> None:
    allowed = ast.Import | ast.ImportFrom | ast.Expr | ast.Assign | ast.AnnAssign
    busy = [
        f"{source.path}:{node.lineno}"
        for source in load_sources()
        if source.path.endswith("/__init__.py") and not source.is_test
        for node in source.tree.body
        if not isinstance(node, allowed)
    ]
    assert busy == []


def _is_float(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    return isinstance(node, ast.Name) and node.id == "float"


def _get_exports(source: Source) -> list[str]:
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
            if named and isinstance(node.value, ast.List | ast.Tuple):
                return [item.value for item in node.value.elts if isinstance(item, ast.Constant)]  # type: ignore[misc]
    return []


def _get_defined_names(source: Source) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _get_public_definitions(source: Source) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [node.name for node in source.tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
