"""One JSON: orjson, the stdlib and the slow path behind them write or refuse the same."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import ChainMap, OrderedDict, UserDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit._items import json as _json
from streamkit._items.json import to_json, to_utf8
from streamkit.errors import ItemRefused

Write: TypeAlias = Callable[[object], bytes]

every_writer = pytest.mark.parametrize(
    "write",
    [
        pytest.param(_json._with_orjson, id="orjson"),
        pytest.param(_json._with_stdlib, id="stdlib"),
        pytest.param(_json._slowly, id="slow path"),
    ],
)

ONE_ID = UUID("12345678-1234-5678-1234-567812345678")
NOON = datetime(2026, 1, 2, 12, 30, 0, 5, tzinfo=timezone(timedelta(hours=2)))
HUGE = 7 * 10**5000


class Color(Enum):
    RED = "red"
    NONE = None
    PAIR = (1, 2)
    SET = frozenset({1})


class Level(IntEnum):
    HIGH = 3


class Word(StrEnum):
    YES = "yes"


class Shout(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "SHOUT"


class Count(int):
    def __repr__(self) -> str:
        return "many"


class Ratio(float):
    def __repr__(self) -> str:
        return "some"


class Row(list[object]):
    pass


class Doubled(dict[str, int]):
    def items(self) -> Any:
        return [(key, value * 2) for key, value in super().items()]


class Broken(dict[str, int]):
    def items(self) -> Any:
        raise KeyError("no")


class Point(NamedTuple):
    x: int
    y: object


@dataclass
class Price:
    stock: str
    price: object = None
    _secret: int = 1
    currency: ClassVar[str] = "EUR"


@dataclass(slots=True)
class Unset:
    value: int = field(init=False)


@dataclass
class Both(dict[str, int]):
    hidden: int = 1


class Reading(pydantic.BaseModel):
    celsius: float = pydantic.Field(serialization_alias="c")
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    extra: Any = None
    model_config = pydantic.ConfigDict(serialize_by_alias=True)


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Moody(pydantic.BaseModel):
    @pydantic.model_serializer
    def serialize(self) -> dict[str, object]:
        raise LookupError("not today")


class Move(msgspec.Struct, rename="camel", tag="move"):
    from_square: str
    extra: object = None


class Node(msgspec.Struct, array_like=True):
    next: object = None


class Endless(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        return Endless()

    def __iter__(self) -> Iterator[str]:
        return iter("a")

    def __len__(self) -> int:
        return 1


class Narcissus:
    def model_dump(self, *, mode: str) -> object:
        return self


def moved_to_end() -> OrderedDict[str, int]:
    ordered = OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    return ordered


WRITTEN = [
    pytest.param(None, b"null", id="none"),
    pytest.param([True, False], b"[true,false]", id="booleans"),
    pytest.param([[], {}, (), ""], b'[[],{},[],""]', id="empty ones"),
    pytest.param([{"a": [1, "b"], "c": 2}, 3], b'[{"a":[1,"b"],"c":2},3]', id="no spaces"),
    pytest.param("grün ✓ 😀", '"grün ✓ 😀"'.encode(), id="utf-8 without escapes"),
    pytest.param(
        '\r\n\t\b\f\0\x1f\x7f"\\/\u2028',
        b'"\\r\\n\\t\\b\\f\\u0000\\u001f\x7f\\"\\\\/\xe2\x80\xa8"',
        id="line ends and control characters are escaped",
    ),
    pytest.param([0.1, 1.0, -0.0], b"[0.1,1.0,-0.0]", id="floats"),
    pytest.param(float("nan"), b"null", id="nan is null"),
    pytest.param([float("inf"), -float("inf")], b"[null,null]", id="infinities are null"),
    pytest.param(Ratio("nan"), b"null", id="nan of a subclass is null"),
    pytest.param(
        [-(2**63), 2**64 - 1], b"[-9223372036854775808,18446744073709551615]", id="64 bit"
    ),
    pytest.param(
        [-(2**63) - 1, 2**64], b"[-9223372036854775809,18446744073709551616]", id="65 bit"
    ),
    pytest.param([HUGE, -HUGE], b"[7%b,-7%b]" % (b"0" * 5000, b"0" * 5000), id="5000 digits"),
    pytest.param([Decimal("1.10"), Decimal("NaN")], b'["1.10","NaN"]', id="decimal is a string"),
    pytest.param(ONE_ID, b'"12345678-1234-5678-1234-567812345678"', id="uuid is a string"),
    pytest.param(NOON, b'"2026-01-02T12:30:00.000005+02:00"', id="datetime with an offset"),
    pytest.param(datetime(26, 1, 2), b'"0026-01-02T00:00:00"', id="datetime without an offset"),
    pytest.param(date(2026, 1, 2), b'"2026-01-02"', id="date"),
    pytest.param(time(1, 2, tzinfo=UTC), b'"01:02:00+00:00"', id="time with an offset"),
    pytest.param([b"\xff\xfe?", b""], b'["//4/",""]', id="bytes are base64"),
    pytest.param(bytearray(b"ab"), b'"YWI="', id="bytearray is base64"),
    pytest.param(memoryview(b"abcd")[::2], b'"YWM="', id="memoryview with gaps is base64"),
    pytest.param(list(Color)[:3], b'["red",null,[1,2]]', id="enum is its value"),
    pytest.param(Level.HIGH, b"3", id="int enum"),
    pytest.param(Word.YES, b'"yes"', id="str enum"),
    pytest.param(Shout("quiet"), b'"quiet"', id="subclass of str is its text"),
    pytest.param([Count(1), Count(2**64)], b"[1,18446744073709551616]", id="subclass of int"),
    pytest.param(Ratio(0.5), b"0.5", id="subclass of float is its number"),
    pytest.param(Row([1, Row()]), b"[1,[]]", id="subclass of list"),
    pytest.param(defaultdict(int, a=1), b'{"a":1}', id="subclass of dict"),
    pytest.param(moved_to_end(), b'{"b":2,"a":1}', id="ordered dict in its own order"),
    pytest.param(Doubled(a=1), b'{"a":2}', id="subclass of dict with its own items"),
    pytest.param(Broken(), b"{}", id="subclass of dict is empty when the dict is"),
    pytest.param((1, (2,)), b"[1,[2]]", id="tuple is an array"),
    pytest.param(Point(1, Point(2, None)), b"[1,[2,null]]", id="named tuple is an array"),
    pytest.param(Price("A"), b'{"stock":"A","price":null,"_secret":1}', id="dataclass"),
    pytest.param(
        Price("A", Price("B", [NOON.date(), float("inf"), b"x", {1: 2**64}])),
        b'{"stock":"A","price":{"stock":"B","price":["2026-01-02",null,"eA==",'
        b'{"1":18446744073709551616}],"_secret":1},"_secret":1}',
        id="values in a dataclass follow the same rules",
    ),
    pytest.param(Both(), b"{}", id="dataclass that is a dict is a dict"),
    pytest.param(MappingProxyType({"a": 1}), b'{"a":1}', id="mapping proxy is an object"),
    pytest.param(ChainMap({"a": 1}, {"a": 2}), b'{"a":1}', id="chain map is an object"),
    pytest.param(UserDict({1: [None]}), b'{"1":[null]}', id="user dict is an object"),
    pytest.param({1: "a", "1": "b"}, b'{"1":"a","1":"b"}', id="keys that look the same stay two"),
    pytest.param(
        Reading(celsius=1, extra={1}),
        b'{"c":1.0,"at":"2026-01-02T00:00:00Z","extra":[1]}',
        id="pydantic model looks as it says",
    ),
    pytest.param([Numbers([1])], b"[[1]]", id="pydantic root model"),
    pytest.param(
        Move("e2", {1}), b'{"type":"move","fromSquare":"e2","extra":[1]}', id="struct as it says"
    ),
    pytest.param([Node({1: Node(2**64)})], b'[[{"1":[18446744073709551616]}]]', id="nested struct"),
    pytest.param(Node([Numbers([1]), Point(1, 2)]), b"[[[1],[1,2]]]", id="model in a struct"),
]


@every_writer
@pytest.mark.parametrize(("value", "expected"), WRITTEN)
def test_a_value_is_written_as_the_table_says(write: Write, value: object, expected: bytes) -> None:
    assert write(value) == expected


@every_writer
@pytest.mark.parametrize("number", [1e16, 1e-7, 5e-324, 1.7976931348623157e308, 123456789.123])
def test_a_float_is_read_back_as_the_same_number(write: Write, number: float) -> None:
    assert json.loads(write([number, -number])) == [number, -number]


TEXTS = [
    pytest.param("plain ü", "plain ü", id="nothing to mend"),
    pytest.param("\ud800", "\ufffd", id="lone high surrogate"),
    pytest.param("a\udfffb", "a\ufffdb", id="lone low surrogate"),
    pytest.param("\ud83d\ude00", "😀", id="a pair is its character"),
    pytest.param("\ude00\ud83d", "\ufffd\ufffd", id="pair in the wrong order"),
    pytest.param("\ud800\ud83d\ude00\ud800", "\ufffd😀\ufffd", id="lone ones around a pair"),
    pytest.param("\ufeff😀\ud800\ufeff", "\ufeff😀\ufffd\ufeff", id="byte order marks stay"),
]


@pytest.mark.parametrize(("text", "mended"), TEXTS)
def test_a_text_without_its_surrogates_is_utf_8(text: str, mended: str) -> None:
    assert to_utf8(text) == mended.encode()


@every_writer
@pytest.mark.parametrize(("text", "mended"), TEXTS)
def test_surrogates_are_mended_in_values_and_in_keys(write: Write, text: str, mended: str) -> None:
    assert write({text: [text]}) == f'{{"{mended}":["{mended}"]}}'.encode()


@every_writer
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param("", "", id="empty str"),
        pytest.param('"\n', '\\"\\n', id="str with a quote and a line end"),
        pytest.param(Shout("quiet"), "quiet", id="subclass of str"),
        pytest.param(1, "1", id="int"),
        pytest.param(HUGE, "7" + "0" * 5000, id="int of 5000 digits"),
        pytest.param(Count(5), "5", id="subclass of int"),
        pytest.param(True, "true", id="true"),
        pytest.param(None, "null", id="none"),
        pytest.param(1e16, "1e+16", id="float as json.dumps spells it"),
        pytest.param(Ratio(0.5), "0.5", id="subclass of float"),
        pytest.param(float("nan"), "NaN", id="nan"),
        pytest.param(-float("inf"), "-Infinity", id="infinity"),
        pytest.param(Color.RED, "red", id="enum"),
        pytest.param(Color.NONE, "null", id="enum of none"),
        pytest.param(Level.HIGH, "3", id="int enum"),
        pytest.param(Word.YES, "yes", id="str enum"),
        pytest.param(ONE_ID, str(ONE_ID), id="uuid"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal"),
        pytest.param(NOON, NOON.isoformat(), id="datetime"),
        pytest.param(date(2026, 1, 2), "2026-01-02", id="date"),
        pytest.param(time(1, 2), "01:02:00", id="time"),
    ],
)
def test_a_key_is_written_as_its_string(write: Write, key: object, expected: str) -> None:
    assert write({key: 1, "b": {key: 2}}) == f'{{"{expected}":1,"b":{{"{expected}":2}}}}'.encode()


@every_writer
@pytest.mark.parametrize(
    ("value", "what"),
    [
        pytest.param({1}, "set", id="set"),
        pytest.param(object(), "object", id="object"),
        pytest.param(timedelta(1), "timedelta", id="timedelta"),
        pytest.param(iter([1]), "list_iterator", id="iterator"),
        pytest.param(ValueError("x"), "ValueError", id="exception"),
        pytest.param(Price, "type", id="class of a dataclass"),
        pytest.param(Color, "EnumType", id="class of an enum"),
        pytest.param(Reading, "ModelMetaclass", id="class of a pydantic model"),
        pytest.param(Move, "StructMeta", id="class of a struct"),
        pytest.param(Color.SET, "frozenset", id="enum of a frozenset"),
        pytest.param([{"a": Price("x", ({"b": {1}},))}], "set", id="deep inside"),
        pytest.param(Move("a", 1j), "complex", id="inside a struct"),
    ],
)
def test_any_other_value_is_refused_by_the_name_of_its_type(
    write: Write, value: object, what: str
) -> None:
    with pytest.raises(ItemRefused) as caught:
        write([1, value])
    assert str(caught.value) == f"{what} cannot be written as JSON"
    assert caught.value.__suppress_context__


OTHER_KEYS = [((1, 2), "tuple"), (b"a", "bytes"), (Color.PAIR, "tuple"), (..., "ellipsis")]


@every_writer
@pytest.mark.parametrize(("key", "what"), OTHER_KEYS)
def test_any_other_key_is_refused_by_the_name_of_its_type(
    write: Write, key: object, what: str
) -> None:
    with pytest.raises(ItemRefused) as caught:
        write({"a": {key: 1}})
    assert str(caught.value) == f"{what} cannot be a key in JSON"


@every_writer
@pytest.mark.parametrize(
    ("value", "what", "cause"),
    [
        pytest.param(Moody(), "Moody", Exception, id="serializer of a pydantic model"),
        pytest.param(Reading(celsius=1, extra=object()), "Reading", ValueError, id="pydantic"),
        pytest.param(Unset(), "Unset", AttributeError, id="dataclass without its value"),
        pytest.param(Broken(a=1), "Broken", KeyError, id="items of a dict's subclass"),
    ],
)
def test_what_the_code_of_an_item_raises_is_the_cause_of_the_refusal(
    write: Write, value: object, what: str, cause: type[Exception]
) -> None:
    with pytest.raises(ItemRefused) as caught:
        write({"a": value})
    assert str(caught.value) == f"{what} cannot be written as JSON"
    assert isinstance(caught.value.__cause__, cause)


def nested(levels: int, wrap: Callable[[object], object], inner: object = None) -> Any:
    value = inner
    for _ in range(levels):
        value = wrap(value)
    return value


@every_writer
def test_254_levels_are_written(write: Write) -> None:
    assert write(nested(254, lambda value: [value])) == b"[" * 254 + b"null" + b"]" * 254
    assert write(nested(254, lambda value: {"a": value})) == b'{"a":' * 254 + b"null" + b"}" * 254
    assert write(nested(253, lambda value: [value], {1: float("nan")})).count(b"[") == 253


def test_the_slow_path_refuses_255_levels() -> None:
    with pytest.raises(ItemRefused, match="the item is nested too deeply, or in a circle"):
        _json._slowly(nested(255, lambda value: [value]))


def looped(value: Any, name: str) -> object:
    setattr(value, name, [value])
    return value


LOOP: list[object] = []
LOOP.append(({1: LOOP},))


@every_writer
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(LOOP, id="list in a dict in itself"),
        pytest.param(looped(Price("A"), "price"), id="dataclass in itself"),
        pytest.param(looped(Node(), "next"), id="struct in itself"),
        pytest.param(Endless(), id="mapping that never ends"),
        pytest.param(Narcissus(), id="model that becomes itself"),
        pytest.param(nested(100_000, lambda value: [value]), id="100000 lists"),
    ],
)
def test_what_has_no_end_is_refused(write: Write, value: object) -> None:
    with pytest.raises(ItemRefused) as caught:
        write(value)
    assert str(caught.value) == "the item is nested too deeply, or in a circle"


@every_writer
def test_a_pydantic_model_in_itself_is_refused(write: Write) -> None:
    with pytest.raises(ItemRefused, match="Reading cannot be written as JSON"):
        write(looped(Reading(celsius=1), "extra"))


texts = st.text(st.characters(), max_size=5)  # with surrogates
hashables = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=False),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.uuids(),
    st.binary(max_size=5),
    st.sampled_from(
        [*Color, *Level, *Word, Shout("a"), Count(HUGE), Ratio("nan"), 2**64, 1j, Price]
    ),
)
leaves = hashables | st.sampled_from([Decimal("sNaN"), Broken(), Broken(a=1), {1}, Moody()])


def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    lists = st.lists(inner, max_size=4)
    dicts = st.dictionaries(hashables, inner, max_size=4)
    built = st.builds(Price, inner) | st.builds(Node, inner) | st.builds(Point, inner, inner)
    other = dicts.map(MappingProxyType) | dicts.map(OrderedDict)
    return lists | lists.map(tuple) | lists.map(Row) | dicts | other | built


def outcome(write: Write, value: object) -> object:
    """Return what a reader gets, keys in order and twice if they are, or why it was refused."""
    try:
        written = write(value)
    except ItemRefused as error:
        return str(error)
    assert b"\n" not in written
    return repr(json.loads(written, parse_int=Decimal, object_pairs_hook=tuple))


@pytest.mark.slow  # a hundred examples
@given(st.recursive(leaves, containers, max_leaves=10))
def test_whichever_library_is_there_the_outcome_is_the_same(value: object) -> None:
    expected = outcome(_json._slowly, value)
    assert outcome(_json._with_orjson, value) == expected
    assert outcome(_json._with_stdlib, value) == expected


@pytest.mark.slow  # a hundred examples
@given(texts)
def test_a_text_keeps_all_but_its_lone_surrogates(text: str) -> None:
    # What the surrogates of a JSON document mean, the stdlib knows.
    paired = json.loads(json.dumps(text))
    mended = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in paired)
    assert to_utf8(text) == mended.encode()


def test_orjson_is_taken_when_it_is_installed() -> None:
    assert to_json is _json._with_orjson


def test_the_stdlib_is_taken_when_orjson_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    spec = importlib.util.spec_from_file_location("streamkit._items._json_alone", _json.__file__)
    assert spec is not None
    assert spec.loader is not None
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.to_json is alone._with_stdlib
    assert alone.to_json({"a": (1, b"x")}) == b'{"a":[1,"eA=="]}'
