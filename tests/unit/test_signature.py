"""GitHub's signature: its own vector, rotation, and headers that anyone may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.signature import is_signed, sign

# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
HEADER = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_githubs_own_vector() -> None:
    assert sign(BODY, SECRET) == HEADER
    assert is_signed(BODY, HEADER, [SECRET])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha256=",
        HEADER[:-1],
        HEADER + "0",
        HEADER + " ",
        HEADER.upper(),
        HEADER.removeprefix("sha256="),
        HEADER.replace("sha256=", "sha1="),
        "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59",
        f"{HEADER}, {HEADER}",
        HEADER.replace("7", "\u0667"),
        "sha256=" + "\xff" * 64,
        "sha256=" + "\ud800" * 64,
        "sha256=" + "0" * 64,
    ],
)
def test_other_headers_sign_nothing(header: str) -> None:
    assert not is_signed(BODY, header, [SECRET])


@pytest.mark.parametrize("body", [b"", b"Hello, World", b"Hello, World!\n", b"hello, World!"])
def test_the_exact_bytes_are_signed(body: bytes) -> None:
    assert not is_signed(body, HEADER, [SECRET])


def test_any_live_secret_will_do() -> None:
    assert is_signed(BODY, HEADER, [b"newer", SECRET])
    assert is_signed(BODY, HEADER, [SECRET, b"older"])
    assert not is_signed(BODY, HEADER, [b"newer", b"older"])
    assert not is_signed(BODY, HEADER, [])


@given(st.binary(), st.binary(min_size=1), st.text())
def test_what_is_signed_is_recognised_and_no_other_text(body: bytes, secret: bytes, header: str) -> None:
    assert is_signed(body, sign(body, secret), [secret])
    assert is_signed(body, header, [secret]) == (header == sign(body, secret))
