"""GitHub's objects as its REST API shows them, in the form of API version 2022-11-28.

https://docs.github.com/rest; the required fields are those of GitHub's OpenAPI document.
"""

import hashlib
import zlib
from collections.abc import Mapping
from sqlite3 import Row
from typing import NamedTuple

Json = dict[str, object]

APP_ID = 1
APP_SLUG = "webhook-orchestrator"
ACCOUNT = "sandbox"
PERMISSIONS = {
    "checks": "write",
    "contents": "write",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "write",
}
_EVENTS = ["check_run", "check_suite", "issue_comment", "pull_request", "push"]

# All that exists without having been made here was made then.
BEGINNING = "2024-01-01T00:00:00Z"

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


class Repository(NamedTuple):
    """A repository by name; GitHub ignores the case of both parts."""

    owner: str
    repo: str


def derive_id(name: str) -> int:
    """Returns the id of something that exists only by its name: the same at every start."""
    return 1 + zlib.crc32(name.lower().encode())


def derive_sha(name: str) -> str:
    """Returns the commit that a branch or pull request of this name points to."""
    return hashlib.sha1(name.lower().encode(), usedforsecurity=False).hexdigest()


def build_user(base_url: str, login: str, kind: str = "User") -> Json:
    """Returns an account: ``User``, ``Bot`` or ``Organization``."""
    number = derive_id(login)
    url = f"{base_url}/users/{login.replace('[', '%5B').replace(']', '%5D')}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"{base_url}/avatars/{number}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{base_url}/{APP_SLUG}" if kind == "Bot" else f"{base_url}/{login}",
        **{name: url + path for name, path in _USER_LINKS.items()},
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def build_author(base_url: str, *, by_app: bool) -> Json:
    """Returns who acts: the App's bot, or the person whose token it is."""
    if by_app:
        return build_user(base_url, f"{APP_SLUG}[bot]", "Bot")
    return build_user(base_url, ACCOUNT)


def build_app_object(base_url: str, issuer: str | None = None) -> Json:
    """Returns the App; a JWT's issuer is its id or its client id."""
    number = int(issuer) if issuer and issuer.isdecimal() else APP_ID
    return {
        "id": number,
        "slug": APP_SLUG,
        "client_id": issuer if issuer and not issuer.isdecimal() else "Iv23sandbox000000000",
        "node_id": f"A_{number}",
        "owner": build_user(base_url, ACCOUNT, "Organization"),
        "name": "Webhook Orchestrator (sandbox)",
        "description": None,
        "external_url": base_url,
        "html_url": f"{base_url}/apps/{APP_SLUG}",
        "created_at": BEGINNING,
        "updated_at": BEGINNING,
        "permissions": PERMISSIONS,
        "events": _EVENTS,
        "installations_count": 1,
    }


def build_installation(base_url: str, number: int, account: str) -> Json:
    """Returns the App's installation on an account."""
    return {
        "id": number,
        "client_id": "Iv23sandbox000000000",
        "account": build_user(base_url, account, "Organization"),
        "repository_selection": "all",
        "access_tokens_url": f"{base_url}/app/installations/{number}/access_tokens",
        "repositories_url": f"{base_url}/installation/repositories",
        "html_url": f"{base_url}/organizations/{account}/settings/installations/{number}",
        "app_id": APP_ID,
        "app_slug": APP_SLUG,
        "target_id": derive_id(account),
        "target_type": "Organization",
        "permissions": PERMISSIONS,
        "events": _EVENTS,
        "created_at": BEGINNING,
        "updated_at": BEGINNING,
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": None,
        "suspended_at": None,
    }


def build_repository(base_url: str, owner: str, repo: str) -> Json:
    """Returns a repository."""
    full_name = f"{owner}/{repo}"
    number = derive_id(full_name)
    url = f"{base_url}/repos/{full_name}"
    page = f"{base_url}/{full_name}"
    return {
        "id": number,
        "node_id": f"R_{number}",
        "name": repo,
        "full_name": full_name,
        "owner": build_user(base_url, owner, "Organization"),
        "private": False,
        "html_url": page,
        "description": None,
        "fork": False,
        "url": url,
        **{name: url + path for name, path in _REPOSITORY_LINKS.items()},
        "clone_url": f"{page}.git",
        "git_url": f"git://127.0.0.1/{full_name}.git",
        "ssh_url": f"git@127.0.0.1:{full_name}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "default_branch": "main",
        "visibility": "public",
        "topics": [],
        "archived": False,
        "disabled": False,
        "has_issues": True,
        "has_projects": False,
        "has_downloads": True,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "size": 0,
        **dict.fromkeys(("forks", "forks_count", "open_issues", "open_issues_count"), 0),
        **dict.fromkeys(("stargazers_count", "watchers", "watchers_count"), 0),
        **dict.fromkeys(("created_at", "updated_at", "pushed_at"), BEGINNING),
    }


def build_comment(base_url: str, row: Row) -> Json:
    """Returns a comment on an issue or pull request."""
    name = f"{row['owner']}/{row['repo']}"
    url = f"{base_url}/repos/{name}/issues/comments/{row['id']}"
    reactions = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {
        "url": url,
        "html_url": f"{base_url}/{name}/issues/{row['number']}#issuecomment-{row['id']}",
        "issue_url": f"{base_url}/repos/{name}/issues/{row['number']}",
        "id": row["id"],
        "node_id": f"IC_{row['id']}",
        "user": build_author(base_url, by_app=bool(row["by_app"])),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "body": row["body"],
        "author_association": "NONE" if row["by_app"] else "MEMBER",
        "reactions": {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(reactions, 0)},
        "performed_via_github_app": build_app_object(base_url) if row["by_app"] else None,
    }


def build_status(base_url: str, row: Row) -> Json:
    """Returns a commit status, as the combined status lists it."""
    return {
        "url": f"{base_url}/repos/{row['owner']}/{row['repo']}/statuses/{row['sha']}",
        "avatar_url": build_author(base_url, by_app=bool(row["by_app"]))["avatar_url"],
        "id": row["id"],
        "node_id": f"SC_{row['id']}",
        "state": row["state"],
        "description": row["description"],
        "target_url": row["target_url"],
        "context": row["context"],
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
    }


def build_pull_request(base_url: str, owner: str, repo: str, number: int, counts: Mapping[str, int]) -> Json:
    """Returns an open pull request that can be merged; its head commit follows from its name."""
    name = f"{owner}/{repo}"
    page = f"{base_url}/{name}/pull/{number}"
    url = f"{base_url}/repos/{name}/pulls/{number}"
    issue_url = f"{base_url}/repos/{name}/issues/{number}"
    head_sha = derive_sha(f"{name}#{number}")
    links = {
        "self": url,
        "html": page,
        "issue": issue_url,
        "comments": f"{issue_url}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{base_url}/repos/{name}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{base_url}/repos/{name}/statuses/{head_sha}",
    }
    return {
        "url": url,
        "id": derive_id(f"{name}#{number}"),
        "node_id": f"PR_{derive_id(f'{name}#{number}')}",
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": issue_url,
        **{f"{key}_url": links[key] for key in ("comments", "review_comments", "review_comment")},
        **{f"{key}_url": links[key] for key in ("commits", "statuses")},
        "number": number,
        "state": "open",
        "locked": False,
        "title": f"Pull request {number}",
        "user": build_user(base_url, ACCOUNT),
        "body": None,
        **dict.fromkeys(("created_at", "updated_at"), BEGINNING),
        **dict.fromkeys(("closed_at", "merged_at", "merged_by", "merge_commit_sha"), None),
        **dict.fromkeys(("assignee", "milestone", "auto_merge", "active_lock_reason"), None),
        **{name: [] for name in ("assignees", "labels", "requested_reviewers", "requested_teams")},
        "head": _build_branch(base_url, owner, repo, f"change-{number}", head_sha),
        "base": _build_branch(base_url, owner, repo, "main", derive_sha(f"{name}@main")),
        "_links": {key: {"href": link} for key, link in links.items()},
        "author_association": "MEMBER",
        "draft": False,
        "merged": False,
        "mergeable": True,
        "rebaseable": True,
        "mergeable_state": "clean",
        "maintainer_can_modify": False,
        **dict.fromkeys(("review_comments", "additions", "deletions", "changed_files"), 0),
        "commits": 1,
        **counts,
    }


def _build_branch(base_url: str, owner: str, repo: str, ref: str, sha: str) -> Json:
    return {
        "label": f"{owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": build_user(base_url, owner, "Organization"),
        "repo": build_repository(base_url, owner, repo),
    }
