"""Texts as GitHub takes them: within its limits, and with our marks at their end."""

# GitHub says so of comments, reviews and issues: "Body is too long (maximum is 65536 characters)".
MAX_BODY_CHARACTERS = 65_536
# https://docs.github.com/en/rest/checks/runs#create-a-check-run
MAX_REPORT_CHARACTERS = 65_535


def fit(text: str, limit: int) -> str:
    """Returns ``text``, cut when it is over ``limit`` characters, with a note that says so."""
    if len(text) <= limit:
        return text
    note = f"\n\n… (cut: the text has {len(text):,} characters)"
    return text[: limit - len(note)] + note


def sign(body: str, *marks: str) -> str:
    """Returns ``body`` within GitHub's limit, with each mark on a line of its own at the end."""
    tail = "\n".join(marks)
    return f"{fit(body, MAX_BODY_CHARACTERS - len(tail) - 2)}\n\n{tail}"


def has_mark(body: str | None, mark: str) -> bool:
    """Tells whether a text carries the mark where ``sign`` puts it.

    A mark anywhere else may be a quotation, or somebody's attempt to have their text taken for ours.
    """
    return mark in _read_tail(body)


def is_signed(body: str | None) -> bool:
    """Tells whether a text carries the mark of any effect."""
    return any(line.startswith("<!-- webhook-orchestrator effect=") for line in _read_tail(body))


def _read_tail(body: str | None) -> list[str]:
    return (body or "").rstrip().splitlines()[-2:]
