"""Who may import whom. A newcomer can rely on the map in docs/design.md because of this test."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "streamkit"
FILES = sorted(SOURCE.rglob("*.py"))

# (file, what it imports): why it may, though its layer may not.
EXCEPTIONS = {
    ("__init__.py", "sinks"): "the formats without dependencies come from `streamkit` itself",
    ("adapters/fastapi.py", "adapters.starlette"): "FastAPI is Starlette; one class serves both",
    (
        "testing/__init__.py",
        "sinks.memory",
    ): "the reference that every other store is compared with",
}

CORE_PACKAGES = {"anyio", "typing_extensions"}
# What else a file may import from outside: each optional package in one file.
PACKAGES = {
    "_items/json.py": {"orjson"},
    "adapters/starlette.py": {"starlette"},
    "adapters/fastapi.py": {"fastapi"},
    "adapters/aiohttp.py": {"aiohttp"},
}


def imports(file: Path) -> set[str]:
    """Return the modules a file imports, those of the library relative to it: `.sinks.sse`."""
    found: set[str] = set()
    package = ["streamkit", *file.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.add(".".join([*base, node.module or ""]).rstrip("."))
    return found


def layer(module: str) -> str:
    """Return which layer a module of the library is in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ("sources", "sinks", "adapters") else "core"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_imports_only_what_its_layer_may(file: Path) -> None:
    name = file.relative_to(SOURCE).as_posix()
    own = layer("streamkit." + name.removesuffix(".py").replace("/", "."))
    for module in imports(file):
        root = module.split(".")[0]
        if root == "streamkit":
            inside = module.removeprefix("streamkit.")
            folder = f"{name.rpartition('/')[0].replace('/', '.')}."
            excused = f"{inside}.".startswith(folder) or any(
                name == importer and (inside + ".").startswith(imported + ".")
                for importer, imported in EXCEPTIONS
            )
            assert excused or layer(module) == "core", f"{name} imports {module}"
            assert own != "core" or excused or layer(module) == "core"
        elif root not in sys.stdlib_module_names:
            allowed = CORE_PACKAGES | PACKAGES.get(name, set())
            assert root in allowed, f"{name} imports {root}"


def test_every_exception_is_used() -> None:
    for importer, imported in EXCEPTIONS:
        modules = imports(SOURCE / importer)
        assert any(module.startswith(f"streamkit.{imported}") for module in modules)


def test_each_optional_package_is_imported_in_one_file() -> None:
    for file, packages in PACKAGES.items():
        for package in packages:
            users = [
                other.relative_to(SOURCE).as_posix()
                for other in FILES
                if any(module.split(".")[0] == package for module in imports(other))
            ]
            assert users == [file]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_fits_on_a_few_screens_and_says_what_it_is_for(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text))


def test_asyncio_and_coroutine_tricks_stay_where_they_are() -> None:
    users = {file.name for file in FILES if "asyncio" in imports(file)}
    assert users == {"aiohttp.py"}
    assert not [file.name for file in FILES if "trio" in imports(file)]
    assert {file.name for file in FILES if "types" in imports(file)} == {"handover.py"}
