"""Globs: GitHub Actions' filter patterns, and patterns of names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.globs import compile_globs, compile_name_globs
from shared.domain.pattern import PatternError


# The cheat sheets of GitHub's page: "Patterns to match branches and tags" and "... to match file paths".
@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        ("main", ["main"], ["mains", "amain", "feature/main", "Main", ""]),
        ("feature/*", ["feature/my-branch", "feature/your-branch"], ["feature/a/b", "feature"]),
        ("feature/**", ["feature/beta-a/my-branch", "feature/mona/the/octocat"], ["features/a"]),
        ("releases/mona-the-octocat", ["releases/mona-the-octocat"], ["releases/mona"]),
        ("*", ["main", "releases"], ["all/the/branches"]),
        ("**", ["all/the/branches", "every/tag", ""], []),
        ("*feature", ["mona-feature", "feature", "ver-10-feature"], ["a/feature"]),
        ("v2*", ["v2", "v2.0", "v2.9"], ["v1", "av2"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1..1", "v1.10"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["page.jsxx", "a/page.js"]),
        ("**.js", ["index.js", "js/index.js", "src/js/app.js"], ["index.jsx"]),
        ("docs/*", ["docs/README.md", "docs/file.txt"], ["docs/a/b.md"]),
        ("docs/**/*.md", ["docs/a/markdown/file.md", "docs/hello/b.md"], ["docs/a.txt"]),
        ("**/docs/**", ["/docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"], ["docs/a"]),
        ("**/README.md", ["js/README.md", "/README.md"], ["README.md"]),
        ("**/*src/**", ["a/src/app.js", "my/file-src/app.js"], ["a/srcs/x"]),
        ("**/*-post.md", ["my/a-post.md", "path/their-post.md"], ["path/posts.md"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("ab+c?", ["ab", "abbb", "abc", "abbc"], ["a", "abcc"]),
    ],
)
def test_a_filter_pattern(pattern: str, accepted: list[str], refused: list[str]) -> None:
    globs = compile_globs([pattern], "branches")
    assert [value for value in accepted if not globs.accepts(value)] == []
    assert [value for value in refused if globs.accepts(value)] == []


@pytest.mark.parametrize(
    ("patterns", "accepted", "refused", "wants"),
    [
        (["releases/**", "!releases/**-alpha"], "releases/1", "releases/1-alpha", None),
        (["*", "!wip-*", "wip-keep"], "wip-keep", "wip-other", None),
        (["!gh-pages"], "main", "gh-pages", 'anything but "gh-pages"'),
        (["!wip", "main"], "main", "other", '"main" but not "wip"'),
        (["main", "release/*"], "release/1", "x", 'one of "main", "release/*"'),
    ],
)
def test_the_order_decides(patterns: list[str], accepted: str, refused: str, wants: str | None) -> None:
    globs = compile_globs(patterns, "branches")
    assert globs.accepts(accepted)
    assert not globs.accepts(refused)
    assert wants is None or globs.wants == wants


@pytest.mark.parametrize(
    ("pattern", "value", "accepted"),
    [
        ("dependabot[bot]", "Dependabot[bot]", True),
        ("dependabot[bot]", "dependabotb", False),
        ("*[bot]", "renovate[bot]", True),
        ("*[bot]", "ada", False),
        ("kind/*", "kind/bug/ui", True),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "abd", False),
        ("a*a", "a", False),
    ],
)
def test_a_pattern_of_names(pattern: str, value: str, accepted: object) -> None:
    assert compile_name_globs([pattern], "authors").accepts(value) is accepted


@pytest.mark.parametrize(
    ("pattern", "expected", "found"),
    [
        ("", "a pattern of 1 to 256 characters", '""'),
        ("!", "a pattern of 1 to 256 characters", '"!"'),
        ("x" * 257, "a pattern of 1 to 256 characters", f'"{"x" * 76}...'),
        ("+a", "a filter pattern of GitHub Actions", '"+a"'),
        ("a++", "a filter pattern of GitHub Actions", '"a++"'),
        ("[ab", "a filter pattern of GitHub Actions", '"[ab"'),
        ("[z-a]", "a range from a lower to a higher character", '"[z-a]"'),
    ],
)
def test_a_faulty_pattern_is_named(pattern: str, expected: str, found: str) -> None:
    with pytest.raises(PatternError) as fault:
        compile_globs(["main", pattern], "branches")
    assert fault.value.path == "branches[1]"
    assert fault.value.expected.startswith(expected)
    assert fault.value.found == found


def match_glob(pattern: str, text: str) -> bool:
    """Matches by trying everything, one character at a time."""
    if not pattern:
        return not text
    if pattern.startswith("**"):
        return match_glob(pattern[2:], text) or (bool(text) and match_glob(pattern, text[1:]))
    if pattern[0] == "*":
        return match_glob(pattern[1:], text) or (text[:1] not in ("", "/") and match_glob(pattern, text[1:]))
    return text[:1] == pattern[0] and match_glob(pattern[1:], text[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**"]), min_size=1, max_size=7).map("".join),
    st.text(st.sampled_from("ab/"), max_size=9),
)
def test_a_glob_agrees_with_the_reference(pattern: str, text: str) -> None:
    # Three stars in a row are one of each kind, which is what two are.
    assert compile_globs([pattern], "paths").accepts(text) == match_glob(pattern, text)


def test_a_glob_does_not_backtrack() -> None:
    # A regular expression of these stars needs longer than anybody waits.
    globs = compile_globs(["**a" * 60 + "b"], "paths")
    assert not globs.accepts("a" * 4_000)
