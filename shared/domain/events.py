"""GitHub's webhook events: their actions, and the members of their payloads beside those that all may have.

https://docs.github.com/en/webhooks/webhook-events-and-payloads

Derived from npm `@octokit/openapi-webhooks` 12.1.0, Copyright (c) 2020 Octokit contributors, under the MIT License:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation
the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of
the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO
THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT,
TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

COMMON_MEMBERS: Final = frozenset({"action", "enterprise", "installation", "organization", "repository", "sender"})
# Whose `action` is whatever the sender of the event chose.
FREE_ACTIONS: Final = frozenset({"repository_dispatch"})


class Event(NamedTuple):
    """An event.

    Attributes:
        actions: the values of its payload's ``action``; none when the payload has none.
        members: what its payload may hold beside ``COMMON_MEMBERS``.
    """

    actions: tuple[str, ...]
    members: tuple[str, ...]


def _event(actions: str = "", members: str = "") -> Event:
    return Event(tuple(actions.split()), tuple(members.split()))


EVENTS: Final[Mapping[str, Event]] = {
    "branch_protection_configuration": _event("disabled enabled"),
    "branch_protection_rule": _event("created deleted edited", "changes rule"),
    "check_run": _event("completed created requested_action rerequested", "check_run requested_action"),
    "check_suite": _event("completed requested rerequested", "check_suite"),
    "code_scanning_alert": _event(
        "appeared_in_branch closed_by_user created fixed reopened reopened_by_user",
        "alert commit_oid ref",
    ),
    "commit_comment": _event("created", "comment"),
    "create": _event("", "description master_branch pusher_type ref ref_type"),
    "custom_property": _event("created deleted promote_to_enterprise updated", "definition"),
    "custom_property_values": _event("updated", "new_property_values old_property_values"),
    "delete": _event("", "pusher_type ref ref_type"),
    "dependabot_alert": _event("auto_dismissed auto_reopened created dismissed fixed reintroduced reopened", "alert"),
    "deploy_key": _event("created deleted", "key"),
    "deployment": _event("created", "deployment workflow workflow_run"),
    "deployment_protection_rule": _event(
        "requested",
        "deployment deployment_callback_url environment event pull_requests",
    ),
    "deployment_review": _event(
        "approved rejected requested",
        "approver comment environment requestor reviewers since workflow_job_run workflow_job_runs workflow_run",
    ),
    "deployment_status": _event("created", "check_run deployment deployment_status workflow workflow_run"),
    "discussion": _event(
        "answered category_changed closed created deleted edited labeled locked pinned reopened transferred "
        "unanswered unlabeled unlocked unpinned",
        "answer changes discussion label old_answer",
    ),
    "discussion_comment": _event("created deleted edited", "changes comment discussion"),
    "fork": _event("", "forkee"),
    "github_app_authorization": _event("revoked"),
    "gollum": _event("", "pages"),
    "installation": _event("created deleted new_permissions_accepted suspend unsuspend", "repositories requester"),
    "installation_repositories": _event(
        "added removed",
        "repositories_added repositories_removed repository_selection requester",
    ),
    "installation_target": _event("renamed", "account changes target_type"),
    "issue_comment": _event("created deleted edited", "changes comment issue"),
    "issue_dependencies": _event(
        "blocked_by_added blocked_by_removed blocking_added blocking_removed",
        "blocked_issue blocked_issue_id blocked_issue_repo blocking_issue blocking_issue_id blocking_issue_repo",
    ),
    "issues": _event(
        "assigned closed deleted demilestoned edited labeled locked milestoned opened pinned reopened "
        "transferred typed unassigned unlabeled unlocked unpinned untyped",
        "assignee changes issue label milestone type",
    ),
    "label": _event("created deleted edited", "changes label"),
    "marketplace_purchase": _event(
        "cancelled changed pending_change pending_change_cancelled purchased",
        "effective_date marketplace_purchase previous_marketplace_purchase",
    ),
    "member": _event("added edited removed", "changes member"),
    "membership": _event("added removed", "member scope team"),
    "merge_group": _event("checks_requested destroyed", "merge_group reason"),
    "meta": _event("deleted", "hook hook_id"),
    "milestone": _event("closed created deleted edited opened", "changes milestone"),
    "org_block": _event("blocked unblocked", "blocked_user"),
    "organization": _event(
        "deleted member_added member_invited member_removed renamed",
        "changes invitation membership user",
    ),
    "package": _event("published updated", "package"),
    "page_build": _event("", "build id"),
    "personal_access_token_request": _event("approved cancelled created denied", "personal_access_token_request"),
    "ping": _event("", "hook hook_id zen"),
    "project": _event("closed created deleted edited reopened", "changes project"),
    "project_card": _event("converted created deleted edited moved", "changes project_card"),
    "project_column": _event("created deleted edited moved", "changes project_column"),
    "projects_v2": _event("closed created deleted edited reopened", "changes projects_v2"),
    "projects_v2_item": _event(
        "archived converted created deleted edited reordered restored",
        "changes projects_v2_item",
    ),
    "projects_v2_status_update": _event("created deleted edited", "changes projects_v2_status_update"),
    "public": _event(),
    "pull_request": _event(
        "assigned auto_merge_disabled auto_merge_enabled closed converted_to_draft demilestoned dequeued "
        "edited enqueued labeled locked milestoned opened ready_for_review reopened review_request_removed "
        "review_requested synchronize unassigned unlabeled unlocked",
        "after assignee before changes label milestone number pull_request reason requested_reviewer",
    ),
    "pull_request_review": _event("dismissed edited submitted", "changes pull_request review"),
    "pull_request_review_comment": _event("created deleted edited", "changes comment pull_request"),
    "pull_request_review_thread": _event("resolved unresolved", "pull_request thread updated_at"),
    "push": _event("", "after base_ref before commits compare created deleted forced head_commit pusher ref"),
    "registry_package": _event("published updated", "registry_package"),
    "release": _event("created deleted edited prereleased published released unpublished", "changes release"),
    "repository": _event(
        "archived created deleted edited privatized publicized renamed transferred unarchived",
        "changes",
    ),
    "repository_advisory": _event("published reported", "repository_advisory"),
    "repository_dispatch": _event("", "branch client_payload"),
    "repository_import": _event("", "status"),
    "repository_ruleset": _event("created deleted edited", "changes repository_ruleset"),
    "repository_vulnerability_alert": _event("create dismiss reopen resolve", "alert"),
    "secret_scanning_alert": _event(
        "assigned created publicly_leaked reopened resolved unassigned validated",
        "alert assignee",
    ),
    "secret_scanning_alert_location": _event("created", "alert location"),
    "secret_scanning_scan": _event(
        "completed",
        "completed_at custom_pattern_name custom_pattern_scope secret_types source started_at type",
    ),
    "security_advisory": _event("published updated withdrawn", "security_advisory"),
    "security_and_analysis": _event("", "changes"),
    "sponsorship": _event(
        "cancelled created edited pending_cancellation pending_tier_change tier_changed",
        "changes effective_date sponsorship",
    ),
    "star": _event("created deleted", "starred_at"),
    "status": _event(
        "",
        "avatar_url branches commit context created_at description id name sha state target_url updated_at",
    ),
    "sub_issues": _event(
        "parent_issue_added parent_issue_removed sub_issue_added sub_issue_removed",
        "parent_issue parent_issue_id parent_issue_repo sub_issue sub_issue_id sub_issue_repo",
    ),
    "team": _event("added_to_repository created deleted edited removed_from_repository", "changes team"),
    "team_add": _event("", "team"),
    "watch": _event("started"),
    "workflow_dispatch": _event("", "inputs ref workflow"),
    "workflow_job": _event("completed in_progress queued waiting", "deployment workflow_job"),
    "workflow_run": _event("completed in_progress requested", "workflow workflow_run"),
}
