"""Errors of a stream that is read from another server over HTTP.

What the other server wrote is in attributes, for the log and for programs, never in `str(error)`.
"""

from __future__ import annotations

__all__ = (
    "UpstreamContentType",
    "UpstreamCut",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamSilent",
    "UpstreamStatus",
    "UpstreamTruncated",
    "UpstreamUnreachable",
)

from ._base import SourceError


class UpstreamError(SourceError):
    """Say that something went wrong with a stream that is read over HTTP."""

    status = 502
    code = "upstream"


class UpstreamUnreachable(UpstreamError):
    """Say that there is no connection to the upstream."""

    code = "upstream-unreachable"

    def __init__(self) -> None:
        super().__init__("the upstream cannot be reached")


class UpstreamStatus(UpstreamError):
    """Say that the upstream answered with a status other than 200."""

    code = "upstream-status"

    def __init__(
        self, upstream_status: int, body: str = "", *, retry_after: float | None = None
    ) -> None:
        """`body` is the start of the response body, `retry_after` the requested wait in seconds."""
        super().__init__(f"the upstream answered with status {upstream_status}")
        self.upstream_status = upstream_status
        self.body = body
        self.retry_after = retry_after


class UpstreamContentType(UpstreamError):
    """Say that the upstream answered with something other than a stream."""

    code = "upstream-content-type"

    def __init__(self, content_type: str, body: str = "") -> None:
        """`content_type` is the response's content type, `body` the start of its body."""
        super().__init__("the upstream answered with something else than an event stream")
        self.content_type = content_type
        self.body = body


class UpstreamSilent(UpstreamError):
    """Say that nothing came from the upstream for too long."""

    status = 504
    code = "upstream-silent"

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long the upstream may be silent."""
        super().__init__(f"nothing came from the upstream for {seconds:g} s")


class UpstreamTruncated(UpstreamError):
    """Say that the upstream ended without sending its end."""

    code = "upstream-truncated"

    def __init__(self) -> None:
        super().__init__("the upstream ended before it said that this is the end")


class UpstreamCut(UpstreamTruncated):
    """Say that the connection to the upstream broke."""

    code = "upstream-cut"


class UpstreamFailed(UpstreamError):
    """Say that the upstream reported a failure."""

    code = "upstream-failed"

    def __init__(self, detail: str = "") -> None:
        super().__init__("the upstream failed")
        self.detail = detail
