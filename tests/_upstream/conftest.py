"""As for the sources: three event loops, and nothing left."""

from ..sources.conftest import anyio_backend, libuv_has_what_it_keeps, nothing_is_left

__all__ = ("anyio_backend", "libuv_has_what_it_keeps", "nothing_is_left")
