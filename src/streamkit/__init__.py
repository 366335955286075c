"""Turn anything that produces output over time into a stream that browsers and services follow.

Sources are in `streamkit.sources`, adapters for the web frameworks in `streamkit.adapters`. Here
are the core and the formats that need no other package.
"""

from ._errors import CleanupTimeout as CleanupTimeout
from ._errors import CommandFailed as CommandFailed
from ._errors import CommandNotFound as CommandNotFound
from ._errors import CommandTimeout as CommandTimeout
from ._errors import EventTooLarge as EventTooLarge
from ._errors import InvalidEvent as InvalidEvent
from ._errors import ItemRefused as ItemRefused
from ._errors import MissingDependency as MissingDependency
from ._errors import NotASource as NotASource
from ._errors import OutputTooLarge as OutputTooLarge
from ._errors import ReservedType as ReservedType
from ._errors import ServerStopping as ServerStopping
from ._errors import SourceCancelled as SourceCancelled
from ._errors import SourceError as SourceError
from ._errors import StartFailed as StartFailed
from ._errors import StreamkitError as StreamkitError
from ._errors import UnsafeArgument as UnsafeArgument
from ._errors import UsageError as UsageError
from ._event import Event as Event
from ._format import Encoder as Encoder
from ._format import Format as Format
from ._lines import Line as Line
from ._source import Source as Source
from ._source import open_source as open_source
from ._source import step as step
from ._sse import SSEDecoder as SSEDecoder
from ._sse import encode_sse as encode_sse
from .sinks.jsonl import as_jsonl as as_jsonl
from .sinks.sse import as_sse as as_sse
from .sinks.text import as_bytes as as_bytes
from .sinks.text import as_text as as_text
