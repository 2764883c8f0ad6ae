"""Subjects: every event has one, and the used ones have the right one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.subject import (
    MAX_KEY_CHARACTERS,
    MAX_REPOSITORY_CHARACTERS,
    Subject,
    derive_subject,
    storable,
    storable_json,
)
from tests.support.factories import read_events, read_payloads

R = {"id": 1, "full_name": "acme/widgets"}
PULLS = [{"number": 7, "base": {"repo": {"id": 1}}}]


@pytest.mark.parametrize(
    ("event", "payload", "key"),
    [
        ("push", {"ref": "refs/heads/main", "after": "abc"}, "acme/widgets:refs/heads/main"),
        ("push", {"ref": "refs/tags/v1", "after": "abc"}, "acme/widgets:refs/tags/v1"),
        ("pull_request", {"number": 7, "pull_request": {"number": 7, "head": {"sha": "abc"}}}, "acme/widgets#7"),
        ("pull_request_review", {"pull_request": {"number": 7}, "review": {"id": 1}}, "acme/widgets#7"),
        (
            "pull_request_review_comment",
            {"pull_request": {"number": 7}, "comment": {"commit_id": "abc"}},
            "acme/widgets#7",
        ),
        ("pull_request_review_thread", {"pull_request": {"number": 7}, "thread": {}}, "acme/widgets#7"),
        ("issues", {"issue": {"number": 8}}, "acme/widgets#8"),
        ("issue_comment", {"issue": {"number": 8, "pull_request": {}}, "comment": {"id": 1}}, "acme/widgets#8"),
        ("check_run", {"check_run": {"head_sha": "abc", "pull_requests": PULLS}}, "acme/widgets#7"),
        ("check_run", {"check_run": {"head_sha": "abc", "pull_requests": []}}, "acme/widgets@abc"),
        ("check_suite", {"check_suite": {"head_sha": "abc", "pull_requests": PULLS}}, "acme/widgets#7"),
        ("check_suite", {"check_suite": {"head_sha": "abc", "pull_requests": None}}, "acme/widgets@abc"),
        ("status", {"sha": "abc", "state": "success", "branches": []}, "acme/widgets@abc"),
        ("workflow_run", {"workflow_run": {"head_sha": "abc", "pull_requests": PULLS}}, "acme/widgets#7"),
        ("workflow_job", {"workflow_job": {"head_sha": "abc", "run_id": 1}}, "acme/widgets@abc"),
        ("workflow_dispatch", {"ref": "refs/heads/main", "inputs": {}}, "acme/widgets:refs/heads/main"),
        ("repository_dispatch", {"action": "deploy", "branch": "main"}, "acme/widgets"),
        ("deployment", {"deployment": {"id": 1, "sha": "abc", "ref": "main"}}, "acme/widgets@abc"),
        ("deployment_status", {"deployment": {"id": 1, "sha": "abc"}, "deployment_status": {}}, "acme/widgets@abc"),
        ("release", {"release": {"tag_name": "v1", "target_commitish": "main"}}, "acme/widgets:refs/tags/v1"),
        ("create", {"ref": "feature/x", "ref_type": "branch"}, "acme/widgets:refs/heads/feature/x"),
        ("create", {"ref": "v1", "ref_type": "tag"}, "acme/widgets:refs/tags/v1"),
        ("delete", {"ref": "v1", "ref_type": "tag"}, "acme/widgets:refs/tags/v1"),
        ("commit_comment", {"comment": {"commit_id": "abc"}}, "acme/widgets@abc"),
        ("merge_group", {"merge_group": {"head_sha": "abc", "head_ref": "refs/heads/q"}}, "acme/widgets@abc"),
        ("discussion", {"discussion": {"number": 9}}, "acme/widgets#9"),
        ("discussion_comment", {"discussion": {"number": 9}, "comment": {"id": 1}}, "acme/widgets#9"),
        ("label", {"label": {"name": "bug"}}, "acme/widgets"),
        ("repository", {"action": "renamed"}, "acme/widgets"),
        ("dependabot_alert", {"alert": {"number": 3}}, "acme/widgets"),
        ("an_event_of_tomorrow", {"issue": {"number": 8}}, "acme/widgets#8"),
    ],
)
def test_key_of_an_event_in_a_repository(event: str, payload: dict[str, Any], key: str) -> None:
    assert derive_subject(event, payload | {"repository": R}).key == key


@pytest.mark.parametrize(
    ("event", "payload", "key"),
    [
        ("installation", {"installation": {"id": 5}, "sender": {"login": "ada"}}, "installation/5"),
        ("installation_repositories", {"installation": {"id": 5}, "repositories_added": []}, "installation/5"),
        ("organization", {"organization": {"login": "acme"}, "installation": {"id": 5}}, "acme"),
        ("github_app_authorization", {"action": "revoked", "sender": {"login": "ada"}}, "github_app_authorization/ada"),
        ("ping", {"zen": "Design for failure.", "hook_id": 1}, "ping"),
        ("security_advisory", {"security_advisory": {}}, "security_advisory"),
    ],
)
def test_key_of_an_event_outside_repositories(event: str, payload: dict[str, Any], key: str) -> None:
    assert derive_subject(event, payload) == Subject(key)


def test_parts_of_a_subject() -> None:
    pull = {"number": 7, "head": {"sha": "abc"}}
    subject = derive_subject("pull_request", {"repository": R, "pull_request": pull})
    assert subject == Subject("acme/widgets#7", "acme/widgets", 7, "abc", None)


def test_a_pull_request_of_another_repository_of_the_network_is_not_meant() -> None:
    foreign = {"number": 3, "base": {"repo": {"id": 2}}}
    own = {"number": 7, "base": {"repo": {"id": 1}}}
    payload = {"repository": R, "check_run": {"head_sha": "abc", "pull_requests": [foreign, own]}}
    assert derive_subject("check_run", payload).number == 7
    payload["check_run"] = {"head_sha": "abc", "pull_requests": [foreign]}
    assert derive_subject("check_run", payload).key == "acme/widgets@abc"


def test_every_real_payload_has_a_subject() -> None:
    count = 0
    for event, payloads in read_payloads().items():
        for payload in payloads:
            subject = derive_subject(event, payload)
            repository = (payload.get("repository") or {}).get("full_name")
            assert subject.repository == repository
            assert subject.key.startswith(repository or "")
            assert subject.key
            count += 1
    assert count == 235


def test_every_event_has_a_subject_even_without_a_payload() -> None:
    events = read_events()
    assert len(events) == 75
    for event in events:
        assert derive_subject(event, {}).key == event


def test_keys_are_bounded() -> None:
    name = "\U0001f600" * 10_000
    subject = derive_subject("push", {"repository": {"full_name": name}, "ref": "refs/heads/" + name})
    assert len(subject.key) == MAX_KEY_CHARACTERS
    assert subject.repository == name[:MAX_REPOSITORY_CHARACTERS]
    for payload in ({"organization": {"login": name}}, {"sender": {"login": name}}):
        assert len(derive_subject("ping", payload).key) == MAX_KEY_CHARACTERS


TEXTS = st.text(st.characters(codec=None), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
NAMES = st.one_of(
    st.sampled_from(["repository", "pull_request", "issue", "discussion", "check_run", "check_suite", "workflow_run"]),
    st.sampled_from(["workflow_job", "merge_group", "deployment", "comment", "release", "organization", "sender"]),
    st.sampled_from(["full_name", "number", "pull_requests", "base", "repo", "id", "head", "sha", "head_sha", "ref"]),
    st.sampled_from(["commit_id", "after", "tag_name", "ref_type", "login", "installation"]),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=25
)


@given(st.sampled_from(["push", "create", "pull_request", "x"]), st.dictionaries(NAMES, JSON))
def test_any_json_has_a_storable_subject(event: str, payload: dict[str, Any]) -> None:
    subject = derive_subject(event, payload)
    assert subject.key
    assert len(subject.key) <= MAX_KEY_CHARACTERS
    for text in (subject.key, subject.repository, subject.sha, subject.ref):
        assert text is None or storable(text) == text


@given(TEXTS)
def test_storable_text_is_what_a_column_takes(text: str) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    assert kept.encode().decode() == kept
    assert storable(kept) == kept


def test_storable_json_reaches_every_text() -> None:
    given_json = {"a\x00": ["\ud800", ("\x00",), {"b": "\x00"}, 1, None, True, 1.5]}
    assert storable_json(given_json) == {"a\ufffd": ["?", ["\ufffd"], {"b": "\ufffd"}, 1, None, True, 1.5]}
