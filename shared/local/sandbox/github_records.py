"""What the sandbox GitHub remembers of reviews, reactions and check runs: they are only ever added."""

from sqlite3 import Row
from typing import NamedTuple

from shared.local.sandbox.github_objects import Repository
from shared.local.sandbox.store import Store, format_time

SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE, number INTEGER NOT NULL,
    state TEXT NOT NULL, body TEXT NOT NULL, commit_id TEXT NOT NULL, by_app INTEGER NOT NULL,
    submitted_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS reviews_by_pull ON reviews (owner, repo, number, id);
CREATE TABLE IF NOT EXISTS reactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE, target TEXT NOT NULL,
    content TEXT NOT NULL, by_app INTEGER NOT NULL, created_at TEXT NOT NULL,
    UNIQUE (owner, repo, target, content, by_app)
);
CREATE TABLE IF NOT EXISTS check_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE, head_sha TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL, status TEXT NOT NULL, conclusion TEXT, external_id TEXT, details_url TEXT,
    title TEXT, summary TEXT, text TEXT, started_at TEXT NOT NULL, completed_at TEXT
);
CREATE INDEX IF NOT EXISTS check_runs_by_commit ON check_runs (owner, repo, head_sha, name, id);
-- As in github_state: ids of more than 32 bits.
INSERT INTO sqlite_sequence (name, seq)
    SELECT name, 30000000000 FROM sqlite_master
    WHERE name IN ('reviews', 'check_runs') AND name NOT IN (SELECT name FROM sqlite_sequence);
"""


class NewCheckRun(NamedTuple):
    """A check run as it is sent."""

    head_sha: str
    name: str
    status: str
    conclusion: str | None
    external_id: str | None
    details_url: str | None
    title: str | None
    summary: str | None
    text: str | None


class Records:
    """Reviews, reactions and check runs of any repository."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_review(self, name: Repository, number: int, *, state: str, body: str, commit_id: str, by_app: bool) -> Row:
        """Reviews a pull request and returns the review."""
        review_id = self._store.insert_row(
            "INSERT INTO reviews (owner, repo, number, state, body, commit_id, by_app, submitted_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*name, number, state, body, commit_id, int(by_app), format_time()),
        )
        return self._store.list_rows("SELECT * FROM reviews WHERE id = ?", (review_id,))[0]

    def list_reviews(self, name: Repository, number: int) -> list[Row]:
        """Returns a pull request's reviews, oldest first."""
        sql = "SELECT * FROM reviews WHERE owner = ? AND repo = ? AND number = ? ORDER BY id"
        return self._store.list_rows(sql, (*name, number))

    def add_reaction(self, name: Repository, target: str, content: str, *, by_app: bool) -> tuple[Row, bool]:
        """Reacts to ``issue 7`` or ``comment 12``; returns the reaction, and whether it is new."""
        key = (*name, target, content, int(by_app))
        is_new = self._store.change_rows(
            "INSERT OR IGNORE INTO reactions (owner, repo, target, content, by_app, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*key, format_time()),
        )
        sql = "SELECT * FROM reactions WHERE owner = ? AND repo = ? AND target = ? AND content = ? AND by_app = ?"
        return self._store.list_rows(sql, key)[0], is_new > 0

    def list_reactions(self, name: Repository, target: str) -> list[Row]:
        """Returns the reactions to an issue or comment, oldest first."""
        sql = "SELECT * FROM reactions WHERE owner = ? AND repo = ? AND target = ? ORDER BY id"
        return self._store.list_rows(sql, (*name, target))

    def add_check_run(self, name: Repository, new: NewCheckRun) -> Row:
        """Creates a check run and returns it."""
        now = format_time()
        run_id = self._store.insert_row(
            "INSERT INTO check_runs (owner, repo, head_sha, name, status, conclusion, external_id, details_url,"
            " title, summary, text, started_at, completed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*name, *new, now, now if new.status == "completed" else None),
        )
        return self._store.list_rows("SELECT * FROM check_runs WHERE id = ?", (run_id,))[0]

    def list_check_runs(self, name: Repository, sha: str) -> list[Row]:
        """Returns a commit's check runs, newest first."""
        sql = "SELECT * FROM check_runs WHERE owner = ? AND repo = ? AND head_sha = ? ORDER BY id DESC"
        return self._store.list_rows(sql, (*name, sha))
