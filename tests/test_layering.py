"""Who may import whom. A newcomer can rely on the map in docs/design.md because of this test.

An import counts wherever it stands: at run time, inside a function, under `TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "streamkit"
FILES = sorted(SOURCE.rglob("*.py"))

# Each room of the house, from the ground up, and the rooms it may import.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "_loop": set(),
    "_items": {"errors"},
    "_feeding": {"errors", "_loop", "_items"},
    "_store": {"errors", "_loop", "_items"},
    "_upstream": {"errors", "_items", "_feeding"},
    "logs": {"errors", "_loop", "_items", "_feeding"},
    "_following": {"errors", "_loop", "_items", "_feeding", "_store"},
    "models": {"errors", "_items", "_feeding", "_upstream"},
    "_streams": {"errors", "_loop", "_items", "_feeding", "_store", "logs", "_following"},
    "_serving": {"errors", "_items", "_feeding", "_store", "_following"},
    "sources": {"errors", "_items", "_feeding", "_upstream", "models"},
    "sinks": {"errors", "_items", "_store", "models"},
    "adapters": {"errors", "_items", "_feeding", "_serving"},
    "testing": {"errors", "_store", "sinks"},
    "streamkit": {
        "errors",
        "_items",
        "_feeding",
        "_store",
        "logs",
        "_following",
        "models",
        "_streams",
        "sources",
        "sinks",
    },
}

# Siblings never import each other. (file, what it imports): why it may all the same.
BETWEEN_SIBLINGS = {
    ("adapters/fastapi.py", "adapters.starlette"): "FastAPI is Starlette; one class serves both",
}

CORE_PACKAGES = {"anyio", "typing_extensions"}
# What else a file may import from outside: each optional package in one file.
PACKAGES = {
    "_items/json.py": {"orjson"},
    "adapters/starlette.py": {"starlette"},
    "adapters/fastapi.py": {"fastapi"},
    "adapters/aiohttp.py": {"aiohttp"},
}


def named(file: Path) -> str:
    return file.relative_to(SOURCE).as_posix()


def module_of(file: Path) -> str:
    """Return the dotted name of a file, relative to the library."""
    return named(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(file): file for file in FILES}


@cache
def imports(file: Path) -> set[str]:
    """Return the modules a file imports, those of the library as `streamkit.sinks.sse`."""
    found: set[str] = set()
    package = ["streamkit", *file.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module or ""]).rstrip(".")
            submodules = {
                f"{module}.{alias.name}"
                for alias in node.names
                if f"{module}.{alias.name}".removeprefix("streamkit.") in MODULES
            }
            found |= submodules or {module}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # What `streamkit` loads when it is first asked for.
            name = node.value.removeprefix(".")
            if file == SOURCE / "__init__.py" and name in MODULES:
                found.add(f"streamkit.{name}")
    return found


def inside(file: Path) -> Iterator[str]:
    """Return what a file imports of the library, relative to it."""
    for module in imports(file):
        if module.startswith("streamkit."):
            yield module.removeprefix("streamkit.")


def room_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0] if module != "__init__" else "streamkit"


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_file_imports_only_what_its_room_may(file: Path) -> None:
    own = room_of(module_of(file))
    for module in inside(file):
        room = room_of(module)
        assert room == own or room in ROOMS[own], f"{named(file)} imports {module}"


def test_a_room_may_import_only_what_it_does_import() -> None:
    for own, below in ROOMS.items():
        files = [file for name, file in MODULES.items() if room_of(name) == own]
        used = {room_of(module) for file in files for module in inside(file)}
        assert below <= used, f"{own} does not import {below - used}"


def test_no_arrow_goes_up() -> None:
    built: set[str] = set()
    for room, below in ROOMS.items():
        assert below <= built, f"{room} imports what stands above it"
        built.add(room)
    assert built == {room_of(module_of(file)) for file in FILES}


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = {name: set(inside(file)) & MODULES.keys() for name, file in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join([*path, module])}"
        if module not in done:
            for other in graph[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("room", ["sources", "sinks", "adapters"])
def test_siblings_never_import_each_other(room: str) -> None:
    for name, file in MODULES.items():
        parts = name.split(".")
        if parts[0] == room and len(parts) > 1:
            for module in inside(file):
                sibling = module.split(".")[:2]
                if sibling[0] == room and sibling != parts[:2]:
                    assert (named(file), module) in BETWEEN_SIBLINGS


def test_every_exception_is_used() -> None:
    for importer, imported in BETWEEN_SIBLINGS:
        assert imported in inside(SOURCE / importer)


def test_only_the_reference_store_is_known_to_the_kit() -> None:
    for name, file in MODULES.items():
        if room_of(name) == "testing":
            assert {module for module in inside(file) if room_of(module) == "sinks"} <= {
                "sinks.memory"
            }


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_file_imports_no_package_that_is_not_its_own(file: Path) -> None:
    for module in imports(file):
        root = module.split(".")[0]
        if root != "streamkit" and root not in sys.stdlib_module_names:
            allowed = CORE_PACKAGES | PACKAGES.get(named(file), set())
            assert root in allowed, f"{named(file)} imports {root}"


def test_each_optional_package_is_imported_in_one_file() -> None:
    for file, packages in PACKAGES.items():
        for package in packages:
            users = [
                named(other)
                for other in FILES
                if any(module.split(".")[0] == package for module in imports(other))
            ]
            assert users == [file]


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_file_fits_on_a_few_screens_and_says_what_it_is_for(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize(
    "folder",
    sorted({file.parent for file in FILES if file.parent.name.startswith("_")}),
    ids=named,
)
def test_a_private_folder_has_a_charter_and_ten_files_at_most(folder: Path) -> None:
    charter = ast.parse((folder / "__init__.py").read_text())
    assert len(str(ast.get_docstring(charter)).splitlines()) == 1
    assert len(charter.body) == 1, "a folder of the house is no face"
    files = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
    assert len(files) <= 10
    assert not [file.name for file in files if file.name.startswith("_")]


def test_asyncio_and_coroutine_tricks_stay_where_they_are() -> None:
    assert {named(file) for file in FILES if "asyncio" in imports(file)} == {"adapters/aiohttp.py"}
    assert not [named(file) for file in FILES if "trio" in imports(file)]
    users = [
        named(file)
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "types"
        and any(alias.name == "coroutine" for alias in node.names)
    ]
    assert users == ["_feeding/leaving.py"]
