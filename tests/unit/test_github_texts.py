"""Texts for GitHub: limits, marks, and where its other doors are."""

import pytest

from shared.adapters.github.actions.texts import MAX_BODY_CHARACTERS, fit, has_mark, is_signed, sign
from shared.adapters.github.addresses import derive_graphql_url, derive_web_url
from shared.domain.effect import Effect

MARK = Effect("0b4f", "github.comment", {}).marker


def test_a_text_within_the_limit_stays_as_it_is() -> None:
    assert fit("a" * 100, 100) == "a" * 100
    assert fit("", 100) == ""


def test_a_text_over_the_limit_says_that_it_was_cut() -> None:
    text = fit("a" * 1_001, 100)
    assert len(text) == 100
    assert text.endswith("a\n\n… (cut: the text has 1,001 characters)")


def test_marks_stand_at_the_end_whatever_the_length() -> None:
    assert sign("Hi", "<!-- a -->", MARK) == f"Hi\n\n<!-- a -->\n{MARK}"
    long = sign("a" * 100_000, "<!-- a -->", MARK)
    assert len(long) == MAX_BODY_CHARACTERS
    assert long.endswith(f"characters)\n\n<!-- a -->\n{MARK}")


def test_a_mark_counts_only_where_we_put_it() -> None:
    assert has_mark(sign("Hi", "<!-- a -->", MARK), "<!-- a -->")
    assert has_mark(sign("Hi", MARK) + "\r\n", MARK)
    assert not has_mark(sign(f"Somebody wrote:\n{MARK}", "<!-- b -->", "<!-- c -->"), MARK)
    assert not has_mark(f"> {MARK}", MARK)
    assert not has_mark(None, MARK)
    assert is_signed(sign("Hi", MARK))
    assert not is_signed(f"{MARK}\n\nand a text below\nit")
    assert not is_signed("")


@pytest.mark.parametrize(
    ("api", "graphql", "web"),
    [
        ("https://api.github.com", "https://api.github.com/graphql", "https://github.com"),
        ("https://api.octo.ghe.com/", "https://api.octo.ghe.com/graphql", "https://octo.ghe.com"),
        ("https://git.example/api/v3/", "https://git.example/api/graphql", "https://git.example"),
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234/graphql", "http://127.0.0.1:1234"),
    ],
)
def test_the_other_doors(api: str, graphql: str, web: str) -> None:
    assert derive_graphql_url(api) == graphql
    assert derive_web_url(api) == web
