"""Leave out the tests of a program that this machine does not have, and say so in one line."""

from __future__ import annotations

__all__ = ("pytest_configure", "pytest_runtest_setup")

import os
import shutil

import pytest

from tools.needs import PATH, TESTS, missing


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program): is left out where there is no such program")
    os.environ["PATH"] = PATH
    # Playwright brings a Node of its own, which on a bare Debian lacks a library.
    if node := shutil.which("node"):
        os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", node)
    if os.environ.get("CI") and (names := missing()):
        message = f"with CI set no test is left out, but there is no {' and no '.join(names)}"
        raise pytest.UsageError(message)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = {name for mark in item.iter_markers("needs") for name in mark.args}
    if "browser" in getattr(item, "fixturenames", ()):
        needed.add("chromium")
    for name in needed & set(missing()):
        # pytest counts the skips of one line and one reason, and shows them as one.
        pytest.skip(f"no {name}: {TESTS[name]} are left out")
