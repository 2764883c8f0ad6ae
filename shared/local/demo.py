"""The main job, shown: real webhooks in, their effects out, and hostile ones refused."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from shared.domain.payload import TYPE_JSON
from shared.local.stack import Stack
from shared.local.webhook import build_headers, read_sample

DEADLINE_SECONDS = 90.0
PAUSE_SECONDS = 0.3
FINAL = {"succeeded", "failed", "cancelled", "superseded", "dead"}
OK, ACCEPTED = 200, 202


@dataclass
class Act:
    """One webhook of the demo.

    Attributes:
        label: what it is, for the table.
        event: GitHub's event.
        body: as posted.
        status: the answer it should get.
        workflow: the one that should match; None when none should.
        headers: that differ from what GitHub would send; None takes one away.
    """

    label: str
    event: str
    body: bytes
    status: int = ACCEPTED
    workflow: str | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    delivery_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answered: int = 0
    answer: str = ""
    document: dict[str, Any] | None = None

    @property
    def is_final(self) -> bool:
        """Nothing more will happen to it."""
        if self.answered not in {OK, ACCEPTED}:
            return True
        return self.document is not None and all(run["status"] in FINAL for run in self.document["runs"])

    @property
    def fault(self) -> str | None:
        """What did not end as it should, or None."""
        if self.answered != self.status:
            return f"{self.label}: answered {self.answered}, should be {self.status}"
        if self.answered not in {OK, ACCEPTED}:
            return None
        if self.document is None or not self.is_final:
            return f"{self.label}: did not come to its end within {DEADLINE_SECONDS:.0f} s"
        runs = {run["workflow"]: run["status"] for run in self.document["runs"]}
        wanted = {} if self.workflow is None else {self.workflow: "succeeded"}
        if self.document["status"] != "succeeded" or runs != wanted:
            return f"{self.label}: delivery {self.document['status']}, runs {runs}, should be {wanted}"
        return None


def plan_acts() -> list[Act]:
    """Returns the webhooks of the demo, the honest ones first."""
    star = b'{"action":"created","note":"\\u0000 and \\ud800","repository":{"full_name":"octo-org/hello"}}'
    return [
        Act("ping", "ping", read_sample("ping"), OK),
        Act("pull request opened", "pull_request", read_sample("pull_request"), workflow="pull_request_analysis"),
        Act("check run failed", "check_run", read_sample("check_run"), workflow="check_failure_analysis"),
        Act("push to the default branch", "push", read_sample("push"), workflow="push_analysis"),
        Act("comment /codegen ...", "issue_comment", read_sample("issue_comment"), workflow="slash_codegen"),
        Act("NUL and half a character", "star", star),
        Act("wrong signature", "push", b"{}", 401, headers={"x-hub-signature-256": f"sha256={'0' * 64}"}),
        Act(
            "SHA-1 signature only",
            "push",
            b"{}",
            401,
            headers={"x-hub-signature-256": None, "x-hub-signature": "sha1=0"},
        ),
        Act("not JSON", "push", b"{", 400),
        Act("NaN", "push", b'{"a":NaN}', 400),
        Act("100,000 levels deep", "push", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        Act("delivery id no GUID", "push", b"{}", 400, headers={"x-github-delivery": "1; drop table"}),
        Act("compressed", "push", b"{}", 415, headers={"content-encoding": "gzip"}),
        Act("7 MB", "push", b'{"a":"' + b"x" * 7_000_000 + b'"}', 413),
    ]


def run_demo(stack: Stack, console: Console, is_running: Callable[[], bool]) -> str | None:
    """Sends the webhooks, follows them to the end and prints the table.

    Returns:
        What did not end as it should, or None.
    """
    acts = plan_acts()
    with httpx.Client(timeout=30.0, headers={"authorization": f"Bearer {stack.settings['API_TOKEN']}"}) as client:
        console.print(f"sending {len(acts)} webhooks to {stack.webhook_url}")
        for act in acts:
            _send(act, stack, client)
        deadline = time.monotonic() + DEADLINE_SECONDS
        ended = -1
        while time.monotonic() < deadline and is_running():
            for act in acts:
                if not act.is_final:
                    _look(act, stack, client)
            if (now_ended := sum(act.is_final for act in acts)) != ended:
                ended = now_ended
                console.print(f"{ended} of {len(acts)} have come to their end")
            if ended == len(acts):
                break
            time.sleep(PAUSE_SECONDS)
    console.print(_tabulate(acts, stack, console))
    faults = [fault for act in acts if (fault := act.fault) is not None]
    return "; ".join(faults) or None


def _send(act: Act, stack: Stack, client: httpx.Client) -> None:
    secret = stack.settings["GITHUB_WEBHOOK_SECRET"].split("\n")[0]
    headers = build_headers(act.event, act.body, secret, act.delivery_id, TYPE_JSON)
    for name, value in act.headers.items():
        if value is None:
            del headers[name]
        else:
            headers[name] = value
    answer = client.post(stack.webhook_url, content=act.body, headers=headers)
    act.answered = answer.status_code
    act.answer = str(answer.json().get("error") or answer.json().get("status"))


def _look(act: Act, stack: Stack, client: httpx.Client) -> None:
    answer = client.get(f"{stack.base_url}/api/v1/deliveries/{act.delivery_id}")
    if answer.is_success:
        act.document = answer.json()


def _tabulate(acts: list[Act], stack: Stack, console: Console) -> Table:
    table = Table(title="What became of each webhook", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("webhook", "delivery", "event", "subject", "workflow and verdict", "run", "effects"):
        table.add_column(name, overflow="fold", no_wrap=not console.is_terminal)
    for act in acts:
        answer = f"{act.answered} {act.answer}"
        if act.document is None:
            table.add_row(act.label, "", act.event, "", f"[yellow]{answer}[/]", "", "")
            continue
        document = act.document
        link = f"{stack.base_url}/api/v1/deliveries/{act.delivery_id}"
        event = f"{act.event}{'.' + document['action'] if document['action'] else ''}"
        runs = document["runs"]
        table.add_row(
            act.label,
            f"[link={link}]{act.delivery_id[:8]}[/link] {answer}",
            event,
            document["subject"],
            _tell_verdicts(document["verdicts"]),
            "\n".join(f"{run['run_id'][-8:]} {run['status']}" for run in runs),
            "\n".join(_tell_effect(effect) for run in runs for task in run["tasks"] for effect in task["effects"]),
        )
    return table


def _tell_verdicts(verdicts: list[dict[str, Any]]) -> str:
    matched = [f"{verdict['workflow']}: {verdict['because']}" for verdict in verdicts if verdict["matched"]]
    return "\n".join(matched) or f"none of {len(verdicts)} matched"


def _tell_effect(effect: dict[str, Any]) -> str:
    return f"{effect['kind']} {effect['url'] or effect['status']}"
