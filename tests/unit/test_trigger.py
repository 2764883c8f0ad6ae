"""A trigger's shorthands: what each is compared with, event by event, and how it explains itself."""

from typing import Any

import pytest

from shared.domain.events import EVENTS
from shared.domain.pattern import Clause
from shared.domain.shorthands import MAX_PUSH_COMMITS, SHORTHAND_EVENTS, read_branches
from shared.domain.trigger import Trigger, explain_paths
from tests.support.factories import build_delivery, read_payloads

ALL = "all clauses matched"
PULL = {"pull_request": {"number": 7, "base": {"ref": "main"}, "head": {"ref": "topic"}, "labels": [{"name": "Ready"}]}}
SENDER = {"sender": {"login": "Ada", "type": "User"}}


def push(ref: str = "refs/heads/main", **files: list[str]) -> dict[str, Any]:
    return {"ref": ref, "commits": [files]}


@pytest.mark.parametrize(
    ("trigger", "event", "payload", "because"),
    [
        # branches
        ({"branches": ["main"]}, "push", push(), ALL),
        ({"branches": "main"}, "push", push(), ALL),
        (
            {"branches": ["main", "release/*"]},
            "push",
            push("refs/heads/feature/x"),
            'branches is "feature/x", wants one of "main", "release/*"',
        ),
        ({"branches": ["main"]}, "push", push("refs/tags/main"), 'branches is missing, wants "main"'),
        (
            {"branches": ["**", "!topic"]},
            "push",
            push("refs/heads/topic"),
            'branches is "topic", wants "**" but not "topic"',
        ),
        ({"branches": ["main"]}, "pull_request", PULL, ALL),
        ({"branches": ["topic"]}, "pull_request", PULL, 'branches is "main", wants "topic"'),
        ({"branches": ["main"]}, "pull_request_review", PULL, ALL),
        ({"branches": ["x"]}, "check_suite", {"check_suite": {"head_branch": "x"}}, ALL),
        ({"branches": ["x"]}, "check_run", {"check_run": {"check_suite": {"head_branch": "x"}}}, ALL),
        (
            {"branches": ["x"]},
            "workflow_run",
            {"workflow_run": {"head_branch": None}},
            'branches is missing, wants "x"',
        ),
        ({"branches": ["x"]}, "workflow_job", {"workflow_job": {"head_branch": "x"}}, ALL),
        ({"branches": ["main"]}, "merge_group", {"merge_group": {"base_ref": "refs/heads/main"}}, ALL),
        ({"branches": ["b"]}, "status", {"branches": [{"name": "a"}, {"name": "b"}]}, ALL),
        (
            {"branches": ["c"]},
            "status",
            {"branches": [{"name": "a"}, {"name": "b"}, 7]},
            'branches is ["a", "b"], wants "c"',
        ),
        ({"branches": ["x"]}, "create", {"ref": "x", "ref_type": "branch"}, ALL),
        ({"branches": ["x"]}, "create", {"ref": "x", "ref_type": "tag"}, 'branches is missing, wants "x"'),
        ({"branches": ["main"]}, "release", {"release": {"target_commitish": "main"}}, ALL),
        ({"branches": ["x"]}, "pull_request", {"pull_request": "text"}, 'branches is missing, wants "x"'),
        # paths
        ({"paths": ["docs/**"]}, "push", push(added=["a.py"], modified=["docs/a.md"]), ALL),
        ({"paths": ["docs/**"]}, "push", push(removed=["docs/a.md"]), ALL),
        (
            {"paths": ["docs/**"]},
            "push",
            push(added=["a.py"], modified=["a.py", "b.py"]),
            'paths is ["a.py", "b.py"], wants "docs/**"',
        ),
        ({"paths": ["docs/**"]}, "push", {"commits": []}, 'paths is [], wants "docs/**"'),
        ({"paths": ["docs/**"]}, "push", {"commits": [{}] * MAX_PUSH_COMMITS}, ALL),
        ({"paths": ["docs/**"]}, "push", {"commits": ["x", {"added": 7}]}, 'paths is [], wants "docs/**"'),
        ({"paths": ["docs/**"]}, "pull_request", PULL, ALL),
        # labels
        ({"labels": ["ready"]}, "pull_request", PULL, ALL),
        ({"labels": ["bug", "!ready"]}, "pull_request", PULL, 'labels is ["Ready"], wants "bug" but not "ready"'),
        ({"labels": ["!wip"]}, "issues", {"issue": {"labels": []}}, ALL),
        ({"labels": ["!wip"]}, "issues", {"issue": {"labels": [{"name": "bug"}, {"name": "wip"}]}}, None),
        ({"labels": ["kind/*"]}, "issues", {"issue": {"labels": [{"name": "kind/bug"}]}}, ALL),
        ({"labels": ["bug"]}, "issues", {"issue": {"labels": []}}, 'labels is [], wants "bug"'),
        ({"labels": ["bug"]}, "issues", {"issue": None}, 'labels is [], wants "bug"'),
        (
            {"labels": ["ready"]},
            "pull_request",
            {**PULL, "action": "labeled", "label": {"name": "bug"}},
            'labels is ["bug"], wants "ready"',
        ),
        ({"labels": ["bug"]}, "pull_request", {**PULL, "action": "labeled", "label": {"name": "bug"}}, ALL),
        ({"labels": ["bug"]}, "label", {"action": "created", "label": {"name": "bug"}}, ALL),
        # authors
        ({"authors": ["ada", "grace"]}, "push", SENDER, ALL),
        ({"authors": ["!*[bot]"]}, "push", SENDER, ALL),
        (
            {"authors": ["!*[bot]"]},
            "push",
            {"sender": {"login": "renovate[bot]"}},
            'authors is "renovate[bot]", wants anything but "*[bot]"',
        ),
        ({"authors": ["ada"]}, "push", {}, 'authors is missing, wants "ada"'),
        # commands
        ({"commands": ["fix"]}, "issue_comment", {"action": "created", "comment": {"body": "/fix it"}}, ALL),
        ({"commands": ["fix"]}, "pull_request_review", {"action": "submitted", "review": {"body": "/FIX"}}, ALL),
        (
            {"commands": ["fix", "deploy"]},
            "issue_comment",
            {"action": "created", "comment": {"body": "/help"}},
            'commands is "help", wants one of "fix", "deploy"',
        ),
        (
            {"commands": ["fix"]},
            "issue_comment",
            {"action": "created", "comment": {"body": "fix"}},
            'commands is missing, wants "fix"',
        ),
        # What was only edited asks for nothing, unless the author wants it so.
        (
            {"commands": ["fix"]},
            "issue_comment",
            {"action": "edited", "comment": {"body": "/fix"}},
            'action is "edited", wants one of "created", "submitted"',
        ),
        (
            {"commands": ["fix"], "actions": ["edited"]},
            "issue_comment",
            {"action": "edited", "comment": {"body": "/fix"}},
            ALL,
        ),
        # together, and with a pattern
        (
            {"branches": ["main"], "match": {"deleted": [False]}},
            "push",
            {**push(), "deleted": True},
            "deleted is true, wants false",
        ),
        ({"branches": ["main"], "authors": ["ada"]}, "push", push() | SENDER, ALL),
    ],
)
def test_a_shorthand_explains_itself(
    trigger: dict[str, Any], event: str, payload: dict[str, Any], because: str | None
) -> None:
    delivery = build_delivery(payload, event=event)
    answer = Trigger.model_validate(trigger).explain(event, delivery.action, delivery.document)
    assert answer.matched is (because == ALL)
    assert because is None or answer.because == because


def test_clauses_name_every_shorthand() -> None:
    trigger = Trigger.model_validate(
        {"actions": "opened", "branches": "main", "paths": "docs/**", "labels": "x", "match": {"draft": [False]}}
    )
    assert trigger.clauses("pull_request", "closed", PULL) == [
        Clause("action", '"opened"', '"closed"', matched=False),
        Clause("branches", '"main"', '"main"', matched=True),
        Clause("labels", '"x"', '["Ready"]', matched=False),
        Clause("paths", '"docs/**"', "not in the payload: GitHub is asked before the first step", matched=True),
        Clause("draft", "false", "missing", matched=False),
    ]


@pytest.mark.parametrize(("event", "is_open"), [("push", False), ("pull_request", True), ("pull_request_review", True)])
def test_paths_that_the_payload_lacks_stay_open(event: str, is_open: object) -> None:
    assert Trigger(paths=("docs/**",)).has_open_paths(event) is is_open
    assert not Trigger(branches=("main",)).has_open_paths(event)


def test_paths_are_judged_by_the_changed_files() -> None:
    assert explain_paths(["docs/**", "!docs/x"], ["a.py", "docs/a.md"]) == (True, ALL)
    assert explain_paths(["docs/**"], ["a.py"]) == (False, 'paths is ["a.py"], wants "docs/**"')


def test_every_event_is_known_and_no_real_payload_surprises() -> None:
    assert len(EVENTS) == 75
    assert all(events <= set(EVENTS) for events in SHORTHAND_EVENTS.values())
    everything = {name: ["**"] if name in ("branches", "paths") else ["*"] for name in ("branches", "paths", "labels")}
    for event, payloads in read_payloads().items():
        for payload in payloads:
            assert payload.get("action") in (None, *EVENTS[event].actions) or event == "repository_dispatch"
            delivery = build_delivery(payload, event=event)
            Trigger.model_validate(everything).clauses(event, delivery.action, delivery.document)


def test_branches_are_found_in_real_payloads() -> None:
    found = {
        event: {branch for payload in read_payloads().get(event, ()) for branch in read_branches(event, payload)}
        for event in SHORTHAND_EVENTS["branches"]
    }
    # Of the rest, the corpus has no payload with a branch in it.
    without = {"code_scanning_alert", "create", "delete", "merge_group"}
    assert {event for event, branches in found.items() if not branches} <= without
    assert {"changes", "master"} & found["pull_request"]
