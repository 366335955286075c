"""What is uploaded to the package index: all that users import, and all that the tests need."""

from __future__ import annotations

__all__ = ()

import email
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "examples", "docs", "benchmarks", "tools")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def files(*folders: str) -> Iterator[str]:
    for folder in folders:
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(ROOT).as_posix()


@pytest.mark.slow  # it builds them
def test_the_wheel_has_the_library_and_nothing_else(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == {name.removeprefix("src/") for name in files("src")}
    assert "streamkit/py.typed" in names


@pytest.mark.slow  # it builds them
def test_the_sdist_has_all_that_the_tests_need(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    expected = {"Makefile", "LICENSE", "pyproject.toml", *files(*FOLDERS)}
    expected |= {page.name for page in ROOT.glob("*.md")}
    assert expected <= names
    assert not [
        name for name in names - expected if not name.startswith((".gitignore", "PKG-INFO"))
    ]


@pytest.mark.slow  # it builds them
def test_users_are_offered_the_extras_of_products_only(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = email.message_from_bytes(wheel.read(name))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert metadata["Name"] == "streamkit-py"
    assert metadata.get_all("Provides-Extra") == sorted(extras)
    assert not {"demo", "test", "bench"} & set(extras)
