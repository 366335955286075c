"""One JSON, whichever library is installed: orjson if there is one, else the stdlib.

Rule: only this file imports orjson, and both libraries write the same values (only the exponent
of a float may look different). Values that they cannot write go to `_slowly`, which writes or
refuses them.

    NaN, the infinities      null
    int of any size          its digits
    lone surrogate           U+FFFD
    bytes                    base64
    Decimal, UUID, dates     their str, their isoformat
    Enum                     its value
    named tuple              an array
    dataclass, Mapping       an object, private fields too
    pydantic, msgspec model  as the model says

A dict's key is written as `json.dumps` writes it; an Enum, Decimal, UUID or date as a string.
Anything else is refused, such as a set or a circular reference. More than 254 levels may be
refused.
"""

from __future__ import annotations

__all__ = ("from_json", "to_json", "to_utf8")

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date, time
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring
from math import isfinite
from operator import attrgetter, methodcaller
from typing import Any
from uuid import UUID

from ..errors import ItemRefused

try:
    import orjson
except ImportError:
    _OPTIONS = 0
else:
    # By default orjson skips private fields, and ignores the order of an OrderedDict.
    _OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )

_MAX_LEVELS = 254  # where orjson stops


def to_utf8(text: str) -> bytes:
    """Encode text. A surrogate pair becomes its character, a lone surrogate becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        units = text.encode("utf-16-le", "surrogatepass")
        return units.decode("utf-16-le", "replace").encode()


def from_json(data: bytes) -> Any:
    """Read JSON that `to_json` wrote, including an int of any size."""
    try:
        return json.loads(data)
    except ValueError:  # `int` stops at 4300 digits; another parser would slow down all other ints
        return json.loads(data, parse_int=lambda digits: int(Decimal(digits)))


def _with_orjson(value: object) -> bytes:
    """Write a value as one line of JSON, or raise `ItemRefused`."""
    try:
        return orjson.dumps(value, _plain, _OPTIONS)
    except TypeError:
        return _slowly(value)


def _with_stdlib(value: object) -> bytes:
    """Write a value as one line of JSON, or raise `ItemRefused`."""
    try:
        return to_utf8(_encode(value))
    except Exception:  # noqa: BLE001  the `items` of a dict subclass may raise anything
        return _slowly(value)


to_json: Callable[[object], bytes] = _with_orjson if _OPTIONS else _with_stdlib


def _slowly(value: object) -> bytes:
    try:
        return to_utf8(_text(value, _MAX_LEVELS))
    except RecursionError:
        raise ItemRefused("the item is nested too deeply, or in a circle") from None


def _text(value: object, levels: int) -> str:
    if levels < 0:
        raise RecursionError
    if scalar := _SCALARS.get(type(value)):
        return scalar(value)
    if type(value) is dict:
        items = list(value.items())  # a model's code, or another thread, may change the dict
        pairs = [f"{encode_basestring(_key(k))}:{_text(v, levels - 1)}" for k, v in items]
        return "{" + ",".join(pairs) + "}"
    if type(value) is list or type(value) is tuple:
        return "[" + ",".join([_text(item, levels - 1) for item in value]) + "]"
    return _text(_plain(value), levels)


def _key(key: object) -> str:
    if type(key) is str:
        return key
    if isinstance(key, float):
        return json.dumps(key)  # as a key, NaN is "NaN"
    if scalar := _SCALARS.get(type(key)):
        return scalar(key)
    if isinstance(key, (str, int, Enum, Decimal, UUID, date, time)):
        return _key(_plain(key))
    raise _refused(key, "be a key in JSON") from None


def _plain(value: object) -> object:
    """Bring a value one step closer to JSON. Both libraries call this for unknown types."""
    try:
        return _step(value)(value)
    except (ItemRefused, RecursionError):
        raise
    except Exception as error:  # from the code of a model, a Mapping, a tzinfo, …
        raise _refused(value, "be written as JSON") from error


def _step(value: object) -> Callable[[Any], object]:
    for types, step in _STEPS:
        if isinstance(value, types):
            return step
    for attribute, step in _MODELS:
        if hasattr(type(value), attribute) and not isinstance(value, type):
            return step
    if isinstance(value, Mapping):
        return dict
    raise _refused(value, "be written as JSON") from None


def _refused(value: object, what: str) -> ItemRefused:
    return ItemRefused(f"{type(value).__name__} cannot {what}")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
).encode

_SCALARS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: lambda value: str(Decimal(value)),  # the str of an int stops at 4300 digits
    float: lambda value: repr(value) if isfinite(value) else "null",
    bool: json.dumps,
    type(None): json.dumps,
}

# Methods that a subclass of str, int or float overrides are ignored, as in the stdlib.
_STEPS: tuple[tuple[type | tuple[type, ...], Callable[[Any], object]], ...] = (
    (Enum, attrgetter("value")),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    # The stdlib does not call `items` on an empty dict.
    (dict, lambda value: dict(value.items() if dict.__len__(value) else ())),
    ((list, tuple), list),
    ((Decimal, UUID), str),
    ((date, time), methodcaller("isoformat")),
    ((bytes, bytearray, memoryview), lambda value: b64encode(bytes(value)).decode()),
)

_MODELS: tuple[tuple[str, Callable[[Any], object]], ...] = (
    ("model_dump", methodcaller("model_dump", mode="json")),
    # No import is needed: a Struct exists only if msgspec was imported.
    ("__struct_fields__", lambda value: sys.modules["msgspec"].to_builtins(value, enc_hook=_plain)),
    ("__dataclass_fields__", lambda value: {f.name: getattr(value, f.name) for f in fields(value)}),
)
