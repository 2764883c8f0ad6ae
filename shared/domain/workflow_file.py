"""A repository's workflow file: when it is looked at, what a reading comes to, what the repository is told of it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from shared.domain.delivery import Delivery
from shared.domain.subject import storable
from shared.domain.workflow import Workflow

FILE_PATH = ".github/orchestrator.yml"
# The scope of an organisation's workflows; a repository's is its name.
ORGANIZATION = "*"
# The run that tells a repository of its file.
REPORT_NAME = "workflow_file"
STATUS_CONTEXT = "webhook-orchestrator/workflow-file"
MAX_DESCRIPTION_CHARACTERS = 140
MAX_REPORTED = 50

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", re.ASCII)
# GitHub lists no more commits than this in a push.
# https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
_MAX_LISTED_COMMITS = 2048


class Fault(NamedTuple):
    """What is wrong in a file: ``line`` counts from 1, ``message`` has the mend."""

    line: int
    message: str


class Reading(NamedTuple):
    """What a file says: its workflows, or its faults; one that has any has no workflows."""

    workflows: Sequence[Workflow] = ()
    faults: Sequence[Fault] = ()


class FileState(NamedTuple):
    """What is known of a repository's file.

    Attributes:
        etag: of GitHub's answer, with which it is asked whether there is a newer one.
        sha: the file's blob; None when there is no file.
        faults: what is wrong with it. While there is anything, the version before stays in force.
    """

    etag: str | None = None
    sha: str | None = None
    faults: Sequence[Fault] = ()


class FoundFile(NamedTuple):
    """A file as GitHub has it; ``text`` is None when it is no readable text, ``url`` a page that shows it."""

    etag: str | None
    sha: str
    text: str | None
    url: str | None


def is_repository(name: str | None) -> bool:
    """Tells whether ``name`` can be ``owner/repo``: a payload may hold anything there."""
    return name is not None and _REPOSITORY.fullmatch(name) is not None


def is_pushed_to_default(delivery: Delivery) -> bool:
    """Tells whether the delivery is a push to its repository's default branch that did not delete it."""
    return (
        delivery.envelope.event == "push"
        and delivery.payload.get("deleted") is not True
        and bool(delivery.document["subject"]["is_default_branch"])
    )


def may_touch_file(delivery: Delivery) -> bool:
    """Tells whether the delivery is a push that may have changed the file on the default branch.

    What a push lists is not always all of it: a forced push drops commits, and the list may be empty or cut.
    """
    if not is_pushed_to_default(delivery):
        return False
    commits = delivery.payload.get("commits")
    if not isinstance(commits, list) or not 0 < len(commits) < _MAX_LISTED_COMMITS:
        return True
    return delivery.payload.get("forced") is True or any(_touches(commit) for commit in commits)


def _touches(commit: object) -> bool:
    if not isinstance(commit, dict):
        return False
    lists = (commit.get(name) for name in ("added", "modified", "removed"))
    return any(FILE_PATH in each for each in lists if isinstance(each, list))


def describe_fault(fault: Fault) -> str:
    """Returns the fault as ``file:line: what is wrong and how to mend it``."""
    return f"{FILE_PATH}:{fault.line}: {fault.message}"


def build_report(
    faults: Sequence[Fault], *, repository: str, commit: str, url: str | None, has_checks: bool
) -> Workflow:
    """Returns the workflow whose run tells a repository what is wrong with its file, or that it is mended.

    Args:
        faults: none when the file is in force (or gone).
        repository: ``owner/repo``.
        commit: which to mark, the default branch's last.
        url: a page that shows the file, or None.
        has_checks: whether check runs can be written, which only an App can; a commit status otherwise.
    """
    uses = "github.check_run" if has_checks else "github.status"
    arguments = _describe_check(faults) if has_checks else _describe_status(faults)
    arguments |= {"repository": repository, "sha": commit}
    if url is not None:
        arguments["details_url" if has_checks else "target_url"] = f"{url}#L{faults[0].line}" if faults else url
    step = {"uses": uses, "with": {name: _literal(text) for name, text in arguments.items()}}
    return Workflow.model_validate({"name": REPORT_NAME, "on": {"push": {}}, "steps": [step]})


def _describe_check(faults: Sequence[Fault]) -> dict[str, str]:
    if not faults:
        title = "The workflow file has no fault"
        return {"name": "Workflow file", "conclusion": "success", "title": title, "summary": f"{title} any more."}
    lines = [f"- `{FILE_PATH}`, line {fault.line}: {fault.message}" for fault in faults[:MAX_REPORTED]]
    if len(faults) > MAX_REPORTED:
        lines.append(f"- and {len(faults) - MAX_REPORTED} more")
    return {
        "name": "Workflow file",
        "conclusion": "failure",
        "title": f"{_count(faults)}: the version before stays in force",
        "summary": "The workflow file cannot be used as it is. Mend these:\n\n" + "\n".join(lines),
    }


def _describe_status(faults: Sequence[Fault]) -> dict[str, str]:
    if not faults:
        return {"state": "success", "context": STATUS_CONTEXT, "description": "The workflow file has no fault"}
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    text = _shorten(" ".join(describe_fault(faults[0]).split()), MAX_DESCRIPTION_CHARACTERS - len(more))
    return {"state": "error", "context": STATUS_CONTEXT, "description": text + more}


def _shorten(text: str, room: int) -> str:
    """Cuts the middle: the place stands first, and the mend last."""
    if len(text) <= room:
        return text
    tail = room // 3
    return f"{text[: room - tail - 1]}\u2026{text[-tail:]}"


def _count(faults: Sequence[Fault]) -> str:
    return "1 fault" if len(faults) == 1 else f"{len(faults)} faults"


def _literal(text: str) -> str:
    # A step's arguments are templates, and faults quote what stands in the file.
    return storable(text).replace("{", '{{ "{" }}')
