"""Bodies: what is a payload, and how what is none is refused."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Refused
from shared.domain.payload import MAX_NESTING, TYPE_FORM, TYPE_JSON, parse_payload, read_json


def nest(depth: int, opener: str = "[", closer: str = "]") -> bytes:
    """Returns an object whose arrays nest, `depth` levels in all."""
    return b'{"a":' + opener.encode() * (depth - 1) + closer.encode() * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b" ", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"a": 1} trailing', "invalid_json"),
        (b"{'a': 1}", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": Infinity}', "invalid_json"),
        (b'{"a": -Infinity}', "invalid_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"a": "\xff"}', "invalid_utf8"),
        ('{"a": "\ud800"}'.encode("utf-8", "surrogatepass"), "invalid_utf8"),
        ("{}".encode("utf-16"), "invalid_utf8"),
        (b"[]", "not_an_object"),
        (b"[{}]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"1", "not_an_object"),
        (b"null", "not_an_object"),
        (nest(MAX_NESTING + 1), "too_nested"),
        (nest(MAX_NESTING + 1, '{"a":', "}").replace(b":}", b":1}"), "too_nested"),
        (nest(900), "too_nested"),
        (nest(100_000), "too_nested"),
        (b"[" * 100_000, "too_nested"),
        (b'{"a":' * 100_000, "too_nested"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[:12]!r}.{len(value)}",
)
def test_no_payload(body: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_payload(body)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("depth", [2, MAX_NESTING])
def test_nesting_up_to_the_limit(depth: int) -> None:
    assert list(parse_payload(nest(depth))) == ["a"]


def test_many_short_branches_are_not_deep() -> None:
    branches: list[list[dict[str, int]]] = [[{}] for _ in range(10 * MAX_NESTING)]
    assert parse_payload(json.dumps({"a": branches}).encode()) == {"a": branches}


def test_characters_that_other_stores_refuse_are_read() -> None:
    text = "\x00 \ud800 \uffff \U0001f600"
    assert parse_payload(json.dumps({"a": text}).encode()) == {"a": text}


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        payload = parse_payload(body)
    except Refused:
        payload = {}
    assert isinstance(payload, dict)


def test_json_is_its_own_text() -> None:
    assert read_json(b"anything", TYPE_JSON) == b"anything"


@pytest.mark.parametrize("text", ["{}", '{"a": "1 + 1 = 2 & \u00e4; %"}'])
def test_a_form_carries_the_json_in_a_field(text: str) -> None:
    form = urlencode({"other": "x", "payload": text}).encode()
    assert read_json(form, TYPE_FORM) == text.encode()


@pytest.mark.parametrize(
    "form", [b"", b"payload", b"payload=", b"other=1", b"{}", b"\xff\xfe", b"&".join([b"a=1"] * 9 + [b"payload={}"])]
)
def test_a_form_without_the_field_is_refused(form: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_json(form, TYPE_FORM)
    assert (refused.value.status, refused.value.code) == (400, "no_payload_field")
