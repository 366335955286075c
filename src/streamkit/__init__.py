"""Turn anything that produces output over time into a stream that browsers and services follow.

Sources are in `streamkit.sources`, adapters for the web frameworks in `streamkit.adapters`. Here
are the core, the formats that need no other package, and the store in memory.
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
from ._following import Following as Following
from ._format import Encoder as Encoder
from ._format import Format as Format
from ._history import History as History
from ._history import HistoryEvent as HistoryEvent
from ._history import Status as Status
from ._lines import Line as Line
from ._names import stream_name as stream_name
from ._source import Source as Source
from ._source import open_source as open_source
from ._source import step as step
from ._sse import SSEDecoder as SSEDecoder
from ._sse import encode_sse as encode_sse
from ._store import Claim as Claim
from ._store import Head as Head
from ._store import Page as Page
from ._store import Store as Store
from ._stream import Stream as Stream
from ._stream_errors import CursorLost as CursorLost
from ._stream_errors import ExpiredStream as ExpiredStream
from ._stream_errors import InvalidCursor as InvalidCursor
from ._stream_errors import InvalidName as InvalidName
from ._stream_errors import NotRunning as NotRunning
from ._stream_errors import Overflow as Overflow
from ._stream_errors import StoreAway as StoreAway
from ._stream_errors import StreamCancelled as StreamCancelled
from ._stream_errors import StreamEnded as StreamEnded
from ._stream_errors import StreamError as StreamError
from ._stream_errors import StreamExists as StreamExists
from ._stream_errors import StreamFailed as StreamFailed
from ._stream_errors import StreamLost as StreamLost
from ._stream_errors import StreamOrphaned as StreamOrphaned
from ._stream_errors import UnknownStore as UnknownStore
from ._stream_errors import UnknownStream as UnknownStream
from ._streams import Statistics as Statistics
from ._streams import Streams as Streams
from .sinks.event_jsonl import as_event_jsonl as as_event_jsonl
from .sinks.jsonl import as_jsonl as as_jsonl
from .sinks.memory import MemoryStore as MemoryStore
from .sinks.sse import as_sse as as_sse
from .sinks.text import as_bytes as as_bytes
from .sinks.text import as_text as as_text
