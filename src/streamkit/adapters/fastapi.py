"""Return a stream from a FastAPI path operation: `StreamResponse(source, format)`.

Return it; do not `yield` in the path operation. FastAPI passes the items of a path operation that
yields to its own encoder, which knows none of the library's formats.
"""

from __future__ import annotations

__all__ = ("StreamResponse", "error_response")

from ..errors import MissingDependency

try:
    import fastapi  # noqa: F401 - to name the right extra if it is missing
except ImportError as error:
    raise MissingDependency(__name__, "fastapi") from error

from .starlette import StreamResponse, error_response
