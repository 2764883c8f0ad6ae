"""GitHub actions: each states its endpoint, the permission it needs and how it is made idempotent."""

from shared.adapters.github.actions.action import GitHubAction
from shared.adapters.github.actions.checks import CheckRun, CommitStatus
from shared.adapters.github.actions.comments import Comment, React, UpdateComment
from shared.adapters.github.actions.files import ChangedFiles
from shared.adapters.github.actions.issues import Close, CreateIssue
from shared.adapters.github.actions.labels import Label, Unlabel
from shared.adapters.github.actions.merges import AutoMerge, Merge, UpdateBranch
from shared.adapters.github.actions.people import Assign, RequestReview
from shared.adapters.github.actions.reviews import Review
from shared.adapters.github.client import GitHubClient
from shared.ports import Action

_ACTIONS: tuple[type[GitHubAction], ...] = (
    Assign,
    AutoMerge,
    ChangedFiles,
    CheckRun,
    Close,
    Comment,
    CommitStatus,
    CreateIssue,
    Label,
    Merge,
    React,
    RequestReview,
    Review,
    Unlabel,
    UpdateBranch,
    UpdateComment,
)


def build_actions(client: GitHubClient) -> dict[str, Action]:
    """Returns every action of this package by its name."""
    return {action.kind: action(client) for action in _ACTIONS}
