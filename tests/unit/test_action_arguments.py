"""What actions take: names, kinds, and messages that say how to mend it."""

from typing import Any

import pytest

from shared.domain.action_arguments import ACTIONS, find_faults, read_arguments
from shared.domain.errors import Permanent

DOCUMENT = {"subject": {"key": "acme/widgets#7", "repository": "acme/widgets", "number": 7, "sha": None}}


@pytest.mark.parametrize(
    ("action", "given", "wanted"),
    [
        ("github.label", {"label": "bug", "labels": ["x"]}, "unknown argument 'label': did you mean 'labels'?"),
        ("github.label", {"zzz": 1, "labels": ["x"]}, "github.label got an unknown argument 'zzz'"),
        ("github.labels", {}, "there is no action 'github.labels': did you mean 'github.label'?"),
        ("github.comment", {"body": "  "}, "github.comment needs 'body'"),
        ("github.comment", {"body": ["a"]}, "github.comment wants a text as 'body', not ['a']"),
        ("github.comment", {"body": "a", "number": "seven"}, "wants a whole number as 'number', not 'seven'"),
        ("github.comment", {"body": "a", "number": True}, "wants a whole number as 'number', not True"),
        ("github.comment", {"body": "a", "number": 0}, "wants a whole number as 'number', not 0"),
        ("github.comment", {"body": "a", "number": "9" * 400}, "wants a whole number as 'number'"),
        ("github.react", {"content": "eye"}, "wants one of +1, -1, laugh, confused, heart, hooray, rocket, eyes"),
        ("github.react", {"content": "eye"}, "as 'content', not 'eye': did you mean 'eyes'?"),
        ("github.label", {"labels": [" ", ""]}, "wants a list of texts as 'labels'"),
        ("github.label", {"labels": [{"name": "bug"}]}, "wants a list of texts as 'labels'"),
        ("github.request_review", {}, "github.request_review needs 'reviewers' or 'team_reviewers'"),
        ("http.request", {"url": "https://a.example", "idempotent": "maybe"}, "wants true or false as 'idempotent'"),
        ("http.request", {"url": "https://a.example", "headers": "x: y"}, "wants an object as 'headers'"),
    ],
)
def test_a_fault_names_the_argument_and_its_mend(action: str, given: dict[str, Any], wanted: str) -> None:
    faults = find_faults(action, given)
    assert len(faults) == 1
    assert wanted in faults[0]
    if action in ACTIONS:
        with pytest.raises(Permanent) as refused:
            read_arguments(action, given, DOCUMENT)
        assert str(refused.value) == faults[0]


def test_all_faults_are_found_together_and_templates_are_left_to_the_run() -> None:
    assert len(find_faults("github.review", {"event": "approved", "bodies": "x", "number": "x"})) == 3
    given = {"labels": "{{ labels }}", "number": "{{ subject.number }}"}
    assert find_faults("github.label", given) == []
    with pytest.raises(Permanent, match="whole number"):
        read_arguments("github.label", given, DOCUMENT)


def test_values_become_what_their_kind_says() -> None:
    given: dict[str, Any] = {"labels": " bug, needs review,bug,", "number": " 12 ", "repository": ""}
    assert read_arguments("github.label", given, DOCUMENT) == {
        "labels": ["bug", "needs review"],
        "number": 12,
        "repository": "acme/widgets",
    }
    given = {"url": "https://a.example", "idempotent": "True", "body": {"a": [1]}, "headers": {}}
    assert read_arguments("http.request", given, DOCUMENT) == {**given, "idempotent": True}
    assert read_arguments("github.comment", {"body": 7}, DOCUMENT)["body"] == "7"


def test_the_subject_fills_in_only_what_it_has() -> None:
    assert read_arguments("github.status", {"state": "success"}, DOCUMENT) == {
        "state": "success",
        "repository": "acme/widgets",
    }
    subject = {"key": "acme/widgets", "repository": "acme/widgets", "number": None}
    with pytest.raises(Permanent, match="needs 'number': the subject acme/widgets has none, so give it"):
        read_arguments("github.comment", {"body": "Hi"}, {"subject": subject})


def test_every_declaration_is_whole() -> None:
    for action, declared in ACTIONS.items():
        names = [argument.name for argument in declared.arguments]
        assert len(set(names)) == len(names), action
        assert set(declared.one_of) <= set(names), action
        texts = [declared.summary, declared.once, *(each.description for each in declared.arguments + declared.outputs)]
        assert all(text.endswith(".") for text in texts), action
