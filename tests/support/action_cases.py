"""How each action is tried in its contract suite: with which arguments, on what subject, and how it writes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx

from tests.support.factories import SHA

REPOSITORY = "/repos/acme/widgets"


def _script(**members: object) -> Callable[[httpx.Client, int], None]:
    """Returns what gives a pull request a head and ``members``."""

    def prepare(client: httpx.Client, number: int) -> None:
        subject = {"owner": "acme", "repo": "widgets", "number": number, "head_sha": SHA, **members}
        client.post("/_subjects", json=subject).raise_for_status()

    return prepare


def _comment(client: httpx.Client, number: int) -> None:
    body = f"Old\n\n<!-- webhook-orchestrator comment=analysis -->\n<!-- webhook-orchestrator effect={number} -->"
    client.post(f"{REPOSITORY}/issues/{number}/comments", json={"body": body}).raise_for_status()


class ActionCase(NamedTuple):
    """An action and how it is tried.

    Attributes:
        kind: its name.
        arguments: ``{id}`` in a text becomes the effect's id.
        method: of the request that writes.
        prepare: makes the subject of this number what it must be.
        has_number: it takes the subject's number.
        is_found: a look-up finds what was written; otherwise writing again changes nothing.
        is_last: what counts is how things stand at last, so writing again changes nothing.
    """

    kind: str
    arguments: Mapping[str, Any] = {}
    method: str = "POST"
    prepare: Callable[[httpx.Client, int], None] | None = None
    has_number: bool = True
    is_found: bool = True
    is_last: bool = True

    @property
    def upstream(self) -> str:
        """Who is asked: an agent that is a GitHub workflow is GitHub's."""
        return "codegen" if self.kind.startswith("codegen.") else "github"

    def build_arguments(self, effect_id: str, number: int) -> dict[str, Any]:
        """Returns the arguments of one effect."""
        given = {
            name: value.replace("{id}", effect_id) if isinstance(value, str) else value
            for name, value in self.arguments.items()
        }
        return {**given, "number": number} if self.has_number else given


CASES = {
    case.kind: case
    for case in (
        ActionCase("github.comment", {"body": "Comment {id}"}, is_last=False),
        ActionCase("github.update_comment", {"marker": "analysis", "body": "New {id}"}, "PATCH", _comment),
        ActionCase("github.react", {"content": "eyes"}, is_found=False),
        ActionCase("github.label", {"labels": "bug, needs review/{id}"}),
        ActionCase("github.unlabel", {"labels": ["STALE"]}, "DELETE", _script(labels=["bug", "stale"])),
        ActionCase("github.assign", {"assignees": ["Ada", "octocat"]}),
        ActionCase("github.request_review", {"reviewers": ["Ada"], "team_reviewers": ["@acme/core"]}),
        ActionCase("github.review", {"event": "request_changes", "body": "Not yet {id}"}, is_last=False),
        ActionCase(
            "github.check_run",
            {"name": "lint", "conclusion": "neutral", "summary": "{id}"},
            has_number=False,
            is_last=False,
        ),
        ActionCase(
            "github.status",
            {"state": "success", "context": "context-{id}", "description": "Analysed"},
            has_number=False,
            is_last=False,
        ),
        ActionCase("github.merge", {"method": "squash", "commit_title": "{id}"}, "PUT", _script()),
        ActionCase("github.auto_merge", {"method": "squash"}, "POST", _script(mergeable_state="blocked")),
        ActionCase("github.update_branch", {}, "PUT", _script(mergeable_state="behind")),
        ActionCase("github.close", {"state_reason": "not_planned"}, "PATCH", _script(is_pull=False)),
        ActionCase("github.create_issue", {"title": "Flaky test", "body": "{id}"}, has_number=False, is_last=False),
        ActionCase("github.dispatch", {"workflow": "work-{id}.yml", "ref": "main"}, has_number=False, is_last=False),
        ActionCase("codegen.run", {"prompt": "Work {id}"}, has_number=False, is_last=False),
        ActionCase("actions.run", {"workflow": "work-{id}.yml"}, has_number=False, is_last=False),
    )
}
FOUND = [kind for kind, case in CASES.items() if case.is_found]
