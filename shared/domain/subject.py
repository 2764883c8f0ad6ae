"""The subject of a delivery: what the event is about, and so what it is ordered by.

Keys are ``owner/repo#12`` (pull request, issue, discussion), ``owner/repo@sha``, ``owner/repo:refs/heads/main``;
an event about none of these is ordered by its repository, organisation, installation or name. The rules look
at what a payload holds, not at a list of event names, so an event GitHub invents tomorrow has a subject too.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MAX_KEY_CHARACTERS = 512
# An index holds the name, and no row of an index is longer than a third of a page. GitHub's own limit is 140.
MAX_REPOSITORY_CHARACTERS = 255

# What a payload is about when it holds one of these, best first; each carries a `number`.
_NUMBERED = ("pull_request", "issue", "discussion")
# These list the pull requests they belong to (empty for pushes from forks) and their `head_sha`.
_ABOUT_HEAD = ("check_run", "check_suite", "workflow_run", "workflow_job", "merge_group")


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about; ``key`` names it, the rest is for templates and actions (None where unknown)."""

    key: str
    repository: str | None = None
    number: int | None = None
    sha: str | None = None
    ref: str | None = None


def derive_subject(event: str, payload: Mapping[str, Any]) -> Subject:
    """Returns the subject of any event, known or not. Never raises: a payload may hold anything anywhere."""
    repository = _text(_object(payload, "repository"), "full_name")
    if repository is None:
        return Subject(_account(event, payload))
    repository = repository[:MAX_REPOSITORY_CHARACTERS]
    number, sha, ref = _number(payload), _sha(payload), _ref(event, payload)
    if number is not None:
        key = f"{repository}#{number}"
    elif ref is not None:
        key = f"{repository}:{ref}"
    elif sha is not None:
        key = f"{repository}@{sha}"
    else:
        key = repository
    return Subject(key[:MAX_KEY_CHARACTERS], repository, number, sha, ref)


def resolve_subject(subject: Subject, key: str) -> Subject:
    """Returns the subject under another key: the pull request that a commit turned out to belong to."""
    number = key.rpartition("#")[2]
    return replace(subject, key=key, number=int(number)) if number.isdecimal() else subject


def _object(value: Any, name: str) -> Mapping[str, Any]:  # noqa: ANN401 - anything may stand in a payload
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    return storable(found) if isinstance(found, str) and found else None


def storable(text: str) -> str:
    """Returns ``text`` as a database column takes it: no NUL, no lone surrogate (real payloads carry both)."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def storable_json(value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """Returns a copy of JSON with every text as ``storable`` has it; jsonb refuses the same characters."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(name)): storable_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable_json(each) for each in value]
    return value


def _whole(value: Mapping[str, Any], name: str) -> int | None:
    found = value.get(name)
    return found if type(found) is int and 0 < found < 2**63 else None


def _number(payload: Mapping[str, Any]) -> int | None:
    for name in _NUMBERED:
        number = _whole(_object(payload, name), "number")
        if number is not None:
            return number
    repository_id = _object(payload, "repository").get("id")
    for name in _ABOUT_HEAD:
        pulls = _object(payload, name).get("pull_requests")
        for pull in pulls if isinstance(pulls, list) else ():
            # A commit may also be the head of a pull request to another repository of the network.
            base_id = _object(_object(pull, "base"), "repo").get("id")
            if base_id == repository_id or base_id is None:
                number = _whole(pull, "number") if isinstance(pull, dict) else None
                if number is not None:
                    return number
    return None


def _sha(payload: Mapping[str, Any]) -> str | None:
    pull_head = _text(_object(_object(payload, "pull_request"), "head"), "sha")
    if pull_head is not None:
        return pull_head
    for name in _ABOUT_HEAD:
        head = _text(_object(payload, name), "head_sha")
        if head is not None:
            return head
    return (
        _text(_object(payload, "deployment"), "sha")
        or _text(_object(payload, "comment"), "commit_id")
        or _text(payload, "sha")
        or _text(payload, "after")
    )


def _ref(event: str, payload: Mapping[str, Any]) -> str | None:
    tag = _text(_object(payload, "release"), "tag_name")
    if tag is not None:
        return f"refs/tags/{tag}"
    ref = _text(payload, "ref")
    if ref is None or ref.startswith("refs/"):
        return ref
    # `create` and `delete` give the bare name and say beside it what it names.
    kind = "tags" if event in {"create", "delete"} and payload.get("ref_type") == "tag" else "heads"
    return f"refs/{kind}/{ref}"


def _account(event: str, payload: Mapping[str, Any]) -> str:
    organization = _text(_object(payload, "organization"), "login")
    if organization is not None:
        return organization[:MAX_KEY_CHARACTERS]
    installation = _whole(_object(payload, "installation"), "id")
    if installation is not None:
        return f"installation/{installation}"
    sender = _text(_object(payload, "sender"), "login")
    return (f"{event}/{sender}" if sender is not None else event)[:MAX_KEY_CHARACTERS]
