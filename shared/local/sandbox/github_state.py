"""What the sandbox GitHub remembers: comments, commit statuses, how much of the rate limit is spent, and the rest."""

import time
from sqlite3 import Row
from typing import NamedTuple

from shared.local.sandbox.github_objects import Repository
from shared.local.sandbox.github_records import Records
from shared.local.sandbox.github_subjects import Subjects
from shared.local.sandbox.store import Store, format_time

SCHEMA = """
CREATE TABLE IF NOT EXISTS comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE,
    number INTEGER NOT NULL, body TEXT NOT NULL, by_app INTEGER NOT NULL, created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS comments_by_issue ON comments (owner, repo, number, id);
CREATE TABLE IF NOT EXISTS statuses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE,
    sha TEXT NOT NULL COLLATE NOCASE, context TEXT NOT NULL, state TEXT NOT NULL, target_url TEXT,
    description TEXT, by_app INTEGER NOT NULL, created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS statuses_by_commit ON statuses (owner, repo, sha, context, id);
-- GitHub's ids have long outgrown 32 bits; so do these, from the first one.
INSERT INTO sqlite_sequence (name, seq)
    SELECT name, 30000000000 FROM sqlite_master
    WHERE name IN ('comments', 'statuses') AND name NOT IN (SELECT name FROM sqlite_sequence);
"""

_WINDOW_SECONDS = 3600


class NewStatus(NamedTuple):
    """A commit status as it is sent."""

    state: str
    context: str
    target_url: str | None
    description: str | None


class RateWindow:
    """The figures of the primary rate limit. They are shown, not enforced: a spent window starts anew.

    https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """

    limit = 5000

    def __init__(self) -> None:
        self._used = 0
        self._reset_at = 0.0

    def spend_request(self) -> None:
        """Counts one request."""
        if self._used + 1 >= self.limit or time.time() >= self._reset_at:
            self._used = 0
            self._reset_at = time.time() + _WINDOW_SECONDS
        self._used += 1

    def read_figures(self) -> dict[str, int]:
        """Returns limit, remaining and used (requests) and reset (epoch seconds)."""
        reset_at = self._reset_at or time.time() + _WINDOW_SECONDS
        remaining = self.limit - self._used
        return {"limit": self.limit, "remaining": remaining, "reset": int(reset_at), "used": self._used}


class GitHubState:
    """Comments and statuses of any repository; repositories, issues and commits exist by being named.

    Attributes:
        base_url: what the server's links begin with.
        rate: the figures of the rate limit.
        subjects: issues and pull requests.
        records: reviews, reactions and check runs.
    """

    def __init__(self, store: Store, base_url: str) -> None:
        self._store = store
        self.base_url = base_url
        self.rate = RateWindow()
        self.subjects = Subjects(store)
        self.records = Records(store)

    def list_owners(self) -> list[str]:
        """Returns the accounts whose repositories anything was written to, in order of name."""
        tables = ("comments", "statuses", "subjects", "reviews", "reactions", "check_runs")
        sql = " UNION ".join(f"SELECT owner FROM {table}" for table in tables)  # noqa: S608 - our own names
        rows = self._store.list_rows(f"{sql} ORDER BY owner")
        return [row["owner"] for row in rows]

    def add_comment(self, name: Repository, number: int, body: str, *, by_app: bool) -> int:
        """Writes a comment and returns its id."""
        now = format_time()
        return self._store.insert_row(
            "INSERT INTO comments (owner, repo, number, body, by_app, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*name, number, body, int(by_app), now, now),
        )

    def read_comment(self, name: Repository, comment_id: int) -> Row | None:
        """Returns a comment, or None."""
        sql = "SELECT * FROM comments WHERE id = ? AND owner = ? AND repo = ?"
        return self._store.read_row(sql, (comment_id, *name))

    def change_comment(self, comment_id: int, body: str) -> None:
        """Replaces a comment's text."""
        sql = "UPDATE comments SET body = ?, updated_at = ? WHERE id = ?"
        self._store.change_rows(sql, (body, format_time(), comment_id))

    def delete_comment(self, name: Repository, comment_id: int) -> bool:
        """Deletes a comment and tells whether there was one."""
        sql = "DELETE FROM comments WHERE id = ? AND owner = ? AND repo = ?"
        return self._store.change_rows(sql, (comment_id, *name)) > 0

    def count_comments(self, name: Repository, number: int, since: str = "") -> int:
        """Returns how many comments an issue has that were changed at or after a time."""
        sql = "SELECT count(*) FROM comments WHERE owner = ? AND repo = ? AND number = ? AND updated_at >= ?"
        return self._store.count_rows(sql, (*name, number, since))

    def list_comments(
        self, name: Repository, number: int, *, since: str = "", limit: int = -1, offset: int = 0
    ) -> list[Row]:
        """Returns an issue's comments, oldest first; all of them unless limited."""
        return self._store.list_rows(
            "SELECT * FROM comments WHERE owner = ? AND repo = ? AND number = ? AND updated_at >= ?"
            " ORDER BY id LIMIT ? OFFSET ?",
            (*name, number, since, limit, offset),
        )

    def add_status(self, name: Repository, sha: str, new: NewStatus, *, by_app: bool) -> int:
        """Writes a commit status and returns its id."""
        return self._store.insert_row(
            "INSERT INTO statuses"
            " (owner, repo, sha, state, context, target_url, description, by_app, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*name, sha, *new, int(by_app), format_time()),
        )

    def count_statuses(self, name: Repository, sha: str, context: str) -> int:
        """Returns how many statuses a commit was given in one context."""
        sql = "SELECT count(*) FROM statuses WHERE owner = ? AND repo = ? AND sha = ? AND context = ?"
        return self._store.count_rows(sql, (*name, sha, context))

    def list_latest_statuses(self, name: Repository, sha: str) -> list[Row]:
        """Returns the last status of each of a commit's contexts, newest first."""
        return self._store.list_rows(
            "SELECT * FROM statuses WHERE id IN"
            " (SELECT max(id) FROM statuses WHERE owner = ? AND repo = ? AND sha = ? GROUP BY context)"
            " ORDER BY id DESC",
            (*name, sha),
        )
