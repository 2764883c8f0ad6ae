"""GitHub's objects about issues and pull requests, in the form of API version 2022-11-28.

https://docs.github.com/rest; the required fields are those of GitHub's OpenAPI document.
"""

import base64
import zlib
from collections.abc import Sequence
from sqlite3 import Row

from shared.local.sandbox.github_objects import (
    ACCOUNT,
    Json,
    Repository,
    build_app_object,
    build_author,
    build_pull_request,
    build_user,
    derive_id,
)
from shared.local.sandbox.github_subjects import ChangedFile, Subject

_NODE = "PR_"


def write_node_id(subject: Subject) -> str:
    """Returns the id by which GraphQL knows a pull request."""
    name = f"{subject.owner}/{subject.repo}#{subject.number}"
    return _NODE + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def read_node_id(node_id: object) -> tuple[Repository, int] | None:
    """Returns which pull request an id is for, or None."""
    if not isinstance(node_id, str) or not node_id.startswith(_NODE):
        return None
    try:
        text = base64.urlsafe_b64decode(node_id.removeprefix(_NODE) + "==").decode()
        owner, _, rest = text.partition("/")
        repo, _, number = rest.partition("#")
        return Repository(owner, repo), int(number)
    except ValueError:
        return None


def build_label(base_url: str, subject: Subject, label: str) -> Json:
    """Returns a label; its colour follows from its name."""
    number = derive_id(f"{subject.owner}/{subject.repo}/{label}")
    return {
        "id": number,
        "node_id": f"LA_{number}",
        "url": f"{base_url}/repos/{subject.owner}/{subject.repo}/labels/{label.replace(' ', '%20')}",
        "name": label,
        "description": None,
        "color": f"{zlib.crc32(label.encode('utf-8', 'replace')) & 0xFFFFFF:06x}",
        "default": False,
    }


def build_issue(base_url: str, subject: Subject, comments: int) -> Json:
    """Returns an issue, or a pull request as GitHub shows it among issues."""
    name = f"{subject.owner}/{subject.repo}"
    url = f"{base_url}/repos/{name}/issues/{subject.number}"
    page = f"{base_url}/{name}/{'pull' if subject.is_pull else 'issues'}/{subject.number}"
    number = derive_id(f"{name}#{subject.number}")
    issue: Json = {
        "id": number,
        "node_id": write_node_id(subject) if subject.is_pull else f"I_{number}",
        "url": url,
        "repository_url": f"{base_url}/repos/{name}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": page,
        "number": subject.number,
        "state": subject.state,
        "state_reason": subject.state_reason,
        "title": subject.title,
        "body": subject.body,
        "user": _build_creator(base_url, subject),
        "labels": [build_label(base_url, subject, label) for label in subject.labels],
        **_build_assignees(base_url, subject),
        "milestone": None,
        "locked": False,
        "active_lock_reason": None,
        "comments": comments,
        "closed_at": subject.closed_at,
        "created_at": subject.created_at,
        "updated_at": subject.updated_at,
        "author_association": "NONE" if subject.by_app else "MEMBER",
        "performed_via_github_app": build_app_object(base_url) if subject.by_app else None,
    }
    if subject.is_pull:
        issue["pull_request"] = {
            "url": f"{base_url}/repos/{name}/pulls/{subject.number}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "merged_at": subject.merged_at,
        }
    return issue


def build_pull(base_url: str, subject: Subject, comments: int) -> Json:
    """Returns a pull request."""
    pull = build_pull_request(base_url, *subject.name, subject.number, {"comments": comments})
    head = pull["head"]
    is_known = subject.mergeable_state != "unknown"
    return pull | {
        "node_id": write_node_id(subject),
        "state": subject.state,
        "title": subject.title,
        "body": subject.body,
        "user": _build_creator(base_url, subject),
        "labels": [build_label(base_url, subject, label) for label in subject.labels],
        **_build_assignees(base_url, subject),
        "requested_reviewers": [build_user(base_url, login) for login in subject.reviewers],
        "requested_teams": [_build_team(base_url, subject.owner, slug) for slug in subject.teams],
        "head": (head if isinstance(head, dict) else {}) | {"sha": subject.head},
        "draft": subject.mergeable_state == "draft",
        "merged": subject.merged_at is not None,
        "mergeable": subject.mergeable_state != "dirty" if is_known else None,
        "mergeable_state": subject.mergeable_state,
        "auto_merge": _build_auto_merge(base_url, subject),
        "merged_by": None if subject.merged_at is None else build_user(base_url, ACCOUNT),
        "changed_files": len(subject.files),
        **{name: getattr(subject, name) for name in ("created_at", "updated_at", "closed_at", "merged_at")},
    }


def build_review(base_url: str, row: Row) -> Json:
    """Returns a review."""
    name = f"{row['owner']}/{row['repo']}"
    url = f"{base_url}/repos/{name}/pulls/{row['number']}"
    page = f"{base_url}/{name}/pull/{row['number']}#pullrequestreview-{row['id']}"
    return {
        "id": row["id"],
        "node_id": f"PRR_{row['id']}",
        "user": build_author(base_url, by_app=bool(row["by_app"])),
        "body": row["body"],
        "state": row["state"],
        "html_url": page,
        "pull_request_url": url,
        "_links": {"html": {"href": page}, "pull_request": {"href": url}},
        "submitted_at": row["submitted_at"],
        "commit_id": row["commit_id"],
        "author_association": "NONE" if row["by_app"] else "MEMBER",
    }


def build_reaction(base_url: str, row: Row) -> Json:
    """Returns a reaction."""
    return {
        "id": row["id"],
        "node_id": f"REA_{row['id']}",
        "user": build_author(base_url, by_app=bool(row["by_app"])),
        "content": row["content"],
        "created_at": row["created_at"],
    }


def build_check_run(base_url: str, row: Row) -> Json:
    """Returns a check run."""
    name = f"{row['owner']}/{row['repo']}"
    url = f"{base_url}/repos/{name}/check-runs/{row['id']}"
    page = f"{base_url}/{name}/commit/{row['head_sha']}#check-run-{row['id']}"
    return {
        **{key: row[key] for key in ("id", "head_sha", "external_id", "status", "conclusion", "name")},
        **{key: row[key] for key in ("started_at", "completed_at")},
        "node_id": f"CR_{row['id']}",
        "url": url,
        "html_url": page,
        "details_url": row["details_url"] or page,
        "output": {
            **{key: row[key] for key in ("title", "summary", "text")},
            "annotations_count": 0,
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": derive_id(f"{name}@{row['head_sha']}")},
        "app": build_app_object(base_url),
        "pull_requests": [],
    }


def build_file(base_url: str, subject: Subject, file: ChangedFile) -> Json:
    """Returns a file that a pull request changes; its content is nobody's concern."""
    name = f"{subject.owner}/{subject.repo}"
    changed: Json = {
        "sha": None if file.status == "removed" else subject.head,
        "filename": file.filename,
        "status": file.status,
        **dict.fromkeys(("additions", "deletions", "changes"), 0),
        "blob_url": f"{base_url}/{name}/blob/{subject.head}/{file.filename}",
        "raw_url": f"{base_url}/{name}/raw/{subject.head}/{file.filename}",
        "contents_url": f"{base_url}/repos/{name}/contents/{file.filename}?ref={subject.head}",
    }
    return changed if file.previous_filename is None else changed | {"previous_filename": file.previous_filename}


def _build_creator(base_url: str, subject: Subject) -> Json:
    return build_author(base_url, by_app=True) if subject.by_app else build_user(base_url, subject.author)


def _build_assignees(base_url: str, subject: Subject) -> Json:
    users: Sequence[Json] = [build_user(base_url, login) for login in subject.assignees]
    return {"assignee": users[0] if users else None, "assignees": users}


def _build_team(base_url: str, organization: str, slug: str) -> Json:
    number = derive_id(f"{organization}/{slug}")
    url = f"{base_url}/organizations/{derive_id(organization)}/team/{number}"
    return {
        "id": number,
        "node_id": f"T_{number}",
        "url": url,
        "html_url": f"{base_url}/orgs/{organization}/teams/{slug}",
        "name": slug,
        "slug": slug,
        "description": None,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "members_url": f"{url}/members{{/member}}",
        "repositories_url": f"{url}/repos",
        "parent": None,
        "type": "organization",
    }


def _build_auto_merge(base_url: str, subject: Subject) -> Json | None:
    if subject.auto_merge is None:
        return None
    return {
        "enabled_by": build_user(base_url, ACCOUNT),
        "merge_method": subject.auto_merge,
        "commit_title": subject.title,
        "commit_message": "",
    }
