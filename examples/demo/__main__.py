"""Start the demo, or check it."""

from __future__ import annotations

__all__ = ()

import argparse
import socket
import sys
from contextlib import suppress
from pathlib import Path

from examples.demo import check
from examples.demo.content import ENDPOINTS, FRAMEWORKS
from examples.demo.settings import load_settings

EPILOG = """\
What it keeps is in a temporary file, gone when it ends. STREAMKIT_DEMO_DB names a file to keep, so
that a run can be looked at after a restart. STREAMKIT_DEMO_PAUSE is the pause between the lines of
a run, in seconds. Keys of models, OPENAI_API_KEY and GEMINI_API_KEY, may be in a file .env."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo", description=__doc__, epilog=EPILOG
    )
    add = parser.add_argument
    add("--framework", choices=FRAMEWORKS, default=FRAMEWORKS[0])
    add("--port", type=int, default=0, help="0, the default, takes a free one")
    add("--check", action="store_true", help="call every endpoint on each framework, and exit")
    options = parser.parse_args()
    if options.check:
        return check.run()
    load_settings(Path(".env"))
    try:
        listener = socket.create_server(("127.0.0.1", options.port))
    except (OSError, OverflowError) as error:
        parser.error(f"port {options.port} cannot be used: {error}")
    with suppress(KeyboardInterrupt):
        _serve(options.framework, listener)
    return 0


def _serve(framework: str, listener: socket.socket) -> None:
    # Imported here: the frameworks take most of the start, and Ctrl-C shall be quiet then, too.
    from examples.demo.serving import load_app, serve  # noqa: PLC0415

    app = load_app(framework)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    width = len(url) + max(map(len, ENDPOINTS))
    print(f"The demo runs on {framework} at {url}/ until Ctrl-C.")
    for path, words in ENDPOINTS.items():
        print(f"  {url + path:{width}}  {words}")
    sys.stdout.flush()
    serve(app, listener)


if __name__ == "__main__":
    sys.exit(main())
