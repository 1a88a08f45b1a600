import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from service import bodies
from service.bodies import Encoding, encoding_of
from service.explain_wire import ExplainRequest
from service.replies import Refused
from service.wire import BatchRequest, InlineItem, ScoreRequest
from tests.service.conftest import FEW, UNHURRIED

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ("query", "item_ids", "items", "item_id", "item", "top_n", "id", "title", "deadline_ms")
NEARLY_RIGHT = st.dictionaries(
    st.sampled_from(FIELDS),
    JSON | st.lists(st.text(max_size=4)) | st.dictionaries(st.sampled_from(FIELDS), JSON),
)
SCHEMAS = st.sampled_from([ScoreRequest, BatchRequest, ExplainRequest])


def refusal(
    body: bytes, schema: type = ScoreRequest, encoding: Encoding = Encoding.JSON
) -> Refused:
    with pytest.raises(Refused) as refused:
        bodies.read(body, schema, encoding)
    return refused.value


def outcome(body: bytes, schema: type, encoding: Encoding) -> object:
    try:
        bodies.read(body, schema, encoding)
    except Refused as refused:
        return refused.status, refused.code
    return "read"


@UNHURRIED
@given(body=st.binary(max_size=60), schema=SCHEMAS, encoding=st.sampled_from(Encoding))
def test_any_bytes_are_read_or_refused(body, schema, encoding) -> None:
    assert outcome(body, schema, encoding) in (
        "read",
        (400, f"invalid_{encoding.name.lower()}"),
        (422, "invalid_request"),
    )


@FEW
@given(content=JSON | NEARLY_RIGHT, schema=SCHEMAS)
def test_both_encodings_agree_on_what_fits(content, schema) -> None:
    as_json = outcome(msgspec.json.encode(content), schema, Encoding.JSON)
    as_msgpack = outcome(msgspec.msgpack.encode(content), schema, Encoding.MSGPACK)

    assert as_json == as_msgpack


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"query": "\\ud800"}',
        b"\xff",
        b'{"query": "\xff"}',
        b'{"query": NaN}',
        b'{"query": "a"} {}',
    ],
)
def test_what_is_no_json_is_400(body) -> None:
    assert (refusal(body).status, refusal(body).code) == (400, "invalid_json")


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x81\xa5query\xa1\xff", b"\x81\xa8item_ids\xdd\x7f\xff\xff\xff"]
)
def test_what_is_no_messagepack_is_400_and_claims_of_size_allocate_nothing(body) -> None:
    fault = refusal(body, encoding=Encoding.MSGPACK)

    assert (fault.status, fault.code) == (400, "invalid_msgpack")


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ({"item_ids": ["a"]}, None),
        ({"query": "a", "itemids": ["a"]}, "itemids"),
        ({"query": "a", "items": [{"id": "a", "name": "t"}]}, "items.0.name"),
        ({"query": 7}, "query"),
        ({"query": "a", "items": [{"id": "a"}, {"id": 7}]}, "items.1.id"),
        ({"query": "a", "items": [{"id": "a", "title": "t", "text": "t"}]}, "items.0"),
        ({"query": "a", "item_ids": ["a", "i" * 513]}, "item_ids.1"),
        ({"query": "a", "top_n": 0}, "top_n"),
        ({"query": "a", "deadline_ms": -1}, "deadline_ms"),
        ({"query": "a", "format": "table"}, "format"),
    ],
)
def test_what_does_not_fit_is_422_and_names_the_field(content, param) -> None:
    fault = refusal(json.dumps(content).encode())

    assert (fault.status, fault.code, fault.param) == (422, "invalid_request", param)


def test_an_unknown_field_is_answered_with_the_known_ones() -> None:
    fault = refusal(b'{"query": "a", "itemids": ["a"]}', ExplainRequest)

    for name in ("`itemids`", *(f"`{field.encode_name}`" for field in fields(ExplainRequest))):
        assert name in fault.args[0]


@pytest.mark.parametrize("deadline", [math.nan, math.inf, -math.inf, 0.0])
def test_a_deadline_that_is_no_time_is_refused(deadline) -> None:
    body = msgspec.msgpack.encode({"query": "a", "deadline_ms": deadline})

    assert refusal(body, encoding=Encoding.MSGPACK).param == "deadline_ms"


def test_nesting_has_an_end() -> None:
    deep = b'{"query": "a", "items": ' + b"[" * 100_000

    assert refusal(deep).status in (400, 422)
    assert refusal(b"\x91" * 100_000, encoding=Encoding.MSGPACK).status in (400, 422)


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (None, Encoding.JSON),
        ("", Encoding.JSON),
        ("text/plain", Encoding.JSON),
        ("application/json; charset=utf-8", Encoding.JSON),
        ("application/msgpack", Encoding.MSGPACK),
        ("Application/X-MsgPack; q=1", Encoding.MSGPACK),
        ("text/html, application/vnd.msgpack, application/json", Encoding.MSGPACK),
        ("application/json, application/msgpack", Encoding.JSON),
    ],
)
def test_the_first_encoding_a_header_names_counts(header, encoding) -> None:
    assert encoding_of(header) is encoding


def test_a_header_that_names_none_leaves_the_choice() -> None:
    assert encoding_of("*/*", otherwise=Encoding.MSGPACK) is Encoding.MSGPACK


def test_an_inline_item_is_normalised_as_a_catalogues_are() -> None:
    sent = InlineItem("x", title=" Ｏak\u200b  desk", attributes={"size": " 4 ", "none": " "})

    item = sent.to_item()

    assert (item.title, item.attributes) == ("Oak desk", (("size", "4"),))


TWO_SHAPES = (ScoreRequest, BatchRequest)


@pytest.mark.parametrize(
    "body",
    [b'{"T": 1, "U": Infinity}', b'{"requests": [], "x": \xff}', b'{"T": 1, ' + b'"a": [' * 3000],
)
def test_a_body_unreadable_beyond_its_first_misfit_is_refused_by_a_route_of_two_shapes(
    body,
) -> None:
    with pytest.raises(Refused) as refused:
        bodies.read_one_of(body, TWO_SHAPES, Encoding.JSON)

    assert (refused.value.status, refused.value.code) == (400, "invalid_json")


@UNHURRIED
@given(body=st.binary(max_size=60), encoding=st.sampled_from(Encoding))
def test_any_bytes_are_read_or_refused_by_a_route_of_two_shapes(body, encoding) -> None:
    status = 200
    try:
        bodies.read_one_of(body, TWO_SHAPES, encoding)
    except Refused as refused:
        status = refused.status

    assert status in (200, 400, 422)
