"""A repository of its own at the sandbox GitHub: what happens in it is told by real payloads, altered."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from shared.domain.workflow_file import FILE_PATH
from tests.acceptance.local_stack import LocalStack, wait_until
from tests.support.factories import read_payloads

OWNER = "Codertocat"
AGENT = {"login": "codegen-sh[bot]", "type": "Bot"}
STRANGER = {"login": "mallory", "type": "User"}
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)

Json = dict[str, Any]


def new_sha() -> str:
    """Returns a commit that no other test has."""
    return uuid.uuid4().hex + "0" * 8


def _merge(value: Json, changes: Mapping[str, Any]) -> Json:
    merged = dict(value)
    for name, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(merged.get(name), dict)
        merged[name] = _merge(merged[name], change) if both else change
    return merged


class Repository:
    """A repository that no other test has.

    Args:
        stack: where its webhooks go.
        file: its workflow file, besides the defaults.
    """

    def __init__(self, stack: LocalStack, file: str | None = None) -> None:
        self.stack = stack
        self.name = f"octo-org/{uuid.uuid4().hex[:12]}"
        self._minutes = 0
        if file is not None:
            stack.put_file(self.name, FILE_PATH, file)
            # The delivery that finds the file brings it into force; others at the same time may not see it yet.
            self.follow("star", self.build("star", "created"))

    def build(self, event: str, action: str | None, place: int = 0, **changes: Any) -> Json:  # noqa: ANN401 - JSON
        """Returns the real payload of that event and action, in this repository, with some members changed."""
        found = [payload for payload in read_payloads()[event] if payload.get("action") == action][place]
        text = json.dumps(found).replace(found["repository"]["full_name"], self.name)
        return _merge(json.loads(text), changes)

    def build_pull_request(
        self,
        action: str,
        number: int,
        sha: str,
        *,
        minute: int | None = None,
        **changes: Any,  # noqa: ANN401 - JSON
    ) -> Json:
        """Returns a payload of a pull request whose head is ``sha``; each is a minute younger than the one before."""
        self._minutes += 1
        at = NOON + timedelta(minutes=self._minutes if minute is None else minute)
        told = {"number": number, "head": {"sha": sha}, "updated_at": at.isoformat().replace("+00:00", "Z")}
        payload = self.build("pull_request", "opened", number=number, pull_request=told)
        return _merge({**payload, "action": action}, changes)

    def build_comment(self, number: int, body: str, association: str = "OWNER", **changes: Any) -> Json:  # noqa: ANN401 - JSON
        """Returns a payload of a comment on a pull request or issue."""
        login = changes.get("sender", {}).get("login", OWNER)
        said = {"body": body, "author_association": association, "user": {"login": login}}
        return _merge(self.build("issue_comment", "created", issue={"number": number}, comment=said), changes)

    def send(self, event: str, payload: Json, delivery_id: str | None = None) -> str:
        """Sends the webhook; returns its delivery id."""
        return self.stack.send(event, json.dumps(payload).encode(), delivery_id)

    def follow(self, event: str, payload: Json) -> Json:
        """Sends the webhook and returns the delivery once all its runs have ended."""
        return self.stack.follow(self.send(event, payload))

    def wait_for_question(self, delivery_id: str, workflow: str) -> None:
        """Returns once the delivery's run of the workflow waits for an approval."""

        def is_asked() -> bool:
            delivery = self.stack.read_delivery(delivery_id)
            run = None if delivery is None else read_run(delivery, workflow)
            return run is not None and (run["status"], run["tasks"][-1]["uses"]) == ("waiting", "approval.wait")

        wait_until(is_asked, f"{workflow} asks for approval")

    def list_written(self, path: str = "", method: str = "POST") -> list[Json]:
        """Returns the bodies of what was written to this repository below a path, in order of arrival."""
        received = self.stack.list_received("github", path=f"/repos/{self.name}/{path}", method=method)
        return [each["body"] for each in received if each["applied"]]

    def list_agent_runs(self, number: int | None = None) -> list[Json]:
        """Returns the bodies that started agent runs on this repository, or on one pull request of it."""
        started = self.stack.list_received("codegen", method="POST", path="/v1/organizations/1/agent/run")
        bodies = [each["body"] for each in started if each["applied"] and each["path"].endswith("/run")]
        wanted = self.name if number is None else f"{self.name}#{number}"
        subjects = [body["metadata"]["subject"] for body in bodies]
        return [
            body
            for body, subject in zip(bodies, subjects, strict=True)
            if subject == wanted or (number is None and subject.startswith(self.name))
        ]

    def read_agent_runs(self) -> list[Json]:
        """Returns this repository's agent runs as Codegen shows them."""
        url = f"{self.stack.address('codegen')}/v1/organizations/1/agent/runs"
        shown = httpx.get(url, params={"limit": 100}, headers={"authorization": "Bearer test"}, trust_env=False)
        items: list[Json] = shown.raise_for_status().json()["items"]
        return [item for item in items if item["metadata"]["subject"].startswith(self.name)]

    def script_agent(self, match: str, **outcome: object) -> None:
        """Decides how agent runs end in whose prompt the regular expression is found."""
        url = f"{self.stack.address('codegen')}/_outcome"
        httpx.post(url, json={"match": match, **outcome}, trust_env=False).raise_for_status()

    def script_subject(self, number: int, **members: object) -> None:
        """Decides how a pull request stands at the sandbox GitHub."""
        owner, _, repo = self.name.partition("/")
        url = f"{self.stack.address('github')}/_subjects"
        subject = {"owner": owner, "repo": repo, "number": number, **members}
        httpx.post(url, json=subject, trust_env=False).raise_for_status()


def read_run(delivery: Json, workflow: str) -> Json:
    """Returns the delivery's run of a workflow, of which there must be one."""
    [run] = [run for run in delivery["runs"] if run["workflow"] == workflow]
    found: Json = run
    return found


def read_verdict(delivery: Json, workflow: str) -> Json:
    """Returns the workflow's answer to the delivery."""
    [verdict] = [each for each in delivery["verdicts"] if each["workflow"] == workflow]
    found: Json = verdict
    return found
