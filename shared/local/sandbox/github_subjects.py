"""What the sandbox GitHub remembers of issues and pull requests themselves: state, labels, people, files."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.local.sandbox.github_objects import BEGINNING, Repository, derive_sha
from shared.local.sandbox.store import Store, format_time

SCHEMA = """
CREATE TABLE IF NOT EXISTS subjects (
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE, number INTEGER NOT NULL,
    updated_at TEXT NOT NULL, definition TEXT NOT NULL, PRIMARY KEY (owner, repo, number)
);
"""

MergeableState = Literal["behind", "blocked", "clean", "dirty", "draft", "unknown", "unstable"]
MergeMethod = Literal["merge", "squash", "rebase"]


class ChangedFile(BaseModel):
    """A file that a pull request changes."""

    model_config = ConfigDict(extra="forbid")

    filename: str
    status: Literal["added", "removed", "modified", "renamed"] = "modified"
    previous_filename: str | None = None


class Subject(BaseModel):
    """An issue or pull request. One that nobody has made or scripted is an open pull request, free to merge.

    Attributes:
        head_sha: None until it is scripted, or a request names the head it expects: that one is it then.
        mergeable_state: GitHub's word; ``unknown`` is one that GitHub has not computed yet.
        is_behind: the base has commits that its branch has not.
        allows_auto_merge: the repository's setting.
        auto_merge: how it will be merged once it can be.
        files: what it changes.
    """

    model_config = ConfigDict(extra="forbid")

    owner: str
    repo: str
    number: int = Field(ge=1)
    is_pull: bool = True
    title: str = ""
    body: str | None = None
    author: str = "octocat"
    by_app: bool = False
    state: Literal["open", "closed"] = "open"
    state_reason: str | None = None
    head_sha: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    mergeable_state: MergeableState = "clean"
    is_behind: bool = True
    allows_auto_merge: bool = True
    auto_merge: MergeMethod | None = None
    merged_at: str | None = None
    closed_at: str | None = None
    created_at: str = BEGINNING
    updated_at: str = BEGINNING
    labels: list[str] = []
    assignees: list[str] = []
    reviewers: list[str] = []
    teams: list[str] = []
    files: list[ChangedFile] = []

    @property
    def name(self) -> Repository:
        """The repository it is in."""
        return Repository(self.owner, self.repo)

    @property
    def head(self) -> str:
        """The commit its branch points to."""
        return self.head_sha or derive_sha(f"{self.owner}/{self.repo}#{self.number}")

    def expect_head(self, sha: object) -> bool:
        """Tells whether a request expects the right head."""
        if sha is None:
            return True
        if self.head_sha is None and isinstance(sha, str):
            self.head_sha = sha
        return sha == self.head

    def close(self, reason: str | None = None) -> None:
        """Closes it; one that is closed already keeps its time."""
        self.closed_at = self.closed_at or format_time()
        self.state, self.state_reason = "closed", reason

    def merge(self) -> None:
        """Merges it."""
        self.close()
        self.merged_at, self.auto_merge = self.closed_at, None


class Subjects:
    """Issues and pull requests of any repository; they exist by being named."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, name: Repository, number: int) -> Subject:
        """Returns an issue or pull request."""
        sql = "SELECT definition FROM subjects WHERE owner = ? AND repo = ? AND number = ?"
        row = self._store.read_row(sql, (*name, number))
        if row is None:
            return Subject(owner=name.owner, repo=name.repo, number=number, title=f"Pull request {number}")
        return Subject.model_validate_json(row["definition"])

    def save(self, subject: Subject) -> None:
        """Keeps what was changed."""
        subject.updated_at = format_time()
        self._store.change_rows(
            "INSERT OR REPLACE INTO subjects (owner, repo, number, updated_at, definition) VALUES (?, ?, ?, ?, ?)",
            (*subject.name, subject.number, subject.updated_at, subject.model_dump_json()),
        )

    def script(self, wanted: Subject) -> None:
        """Gives an issue or pull request what was set of another of its name; auto-merge acts on it."""
        subject = self.read(wanted.name, wanted.number)
        for field in wanted.model_fields_set:
            setattr(subject, field, getattr(wanted, field))
        if subject.auto_merge is not None and subject.mergeable_state == "clean":
            subject.merge()
        self.save(subject)

    def choose_number(self, name: Repository) -> int:
        """Returns the number of a new issue."""
        return 1 + self._store.count_rows(
            "SELECT coalesce(max(number), 0) FROM (SELECT owner, repo, number FROM subjects"
            " UNION ALL SELECT owner, repo, number FROM comments) WHERE owner = ? AND repo = ?",
            name,
        )

    def list_since(self, name: Repository, since: str) -> list[Subject]:
        """Returns what was written to at or after a time, the newest number first."""
        sql = "SELECT definition FROM subjects WHERE owner = ? AND repo = ? AND updated_at >= ? ORDER BY number DESC"
        rows = self._store.list_rows(sql, (*name, since))
        return [Subject.model_validate_json(row["definition"]) for row in rows]
