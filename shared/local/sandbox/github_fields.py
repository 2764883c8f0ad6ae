"""Reads the fields of JSON bodies, refusing as GitHub does what is missing or of another kind."""

import re
from typing import NoReturn

from shared.local.sandbox.github_errors import GitHubError

_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:\[bot\])?")

Document = dict[str, object]


def is_account(login: str) -> bool:
    """Tells whether there is such an account: any login that GitHub's rules allow is one."""
    return _LOGIN.fullmatch(login) is not None


def refuse_field(resource: str, field: str, code: str, docs: str, message: str | None = None) -> NoReturn:
    """Answers ``Validation Failed`` about one field. Raises GitHubError: 422."""
    error = {"resource": resource, "code": code, "field": field}
    raise GitHubError(422, "Validation Failed", docs=docs, errors=[error | ({"message": message} if message else {})])


def read_text(document: Document, field: str, docs: str, *, is_required: bool = False) -> str | None:
    """Returns a text, or None. Raises GitHubError: 422, it is something else or missing."""
    if is_required and field not in document:
        raise GitHubError(422, f'Invalid request.\n\n"{field}" wasn\'t supplied.', docs=docs)
    value = document.get(field)
    if value is None and not is_required:
        return None
    if not isinstance(value, str):
        shown = "nil" if value is None else value
        raise GitHubError(422, f"Invalid request.\n\nFor 'properties/{field}', {shown} is not a string.", docs=docs)
    return value


def read_texts(document: Document, field: str, docs: str) -> list[str]:
    """Returns a list of texts, empty when it is absent. Raises GitHubError: 422, it is something else."""
    value = document.get(field, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise GitHubError(422, f"Invalid request.\n\nFor 'properties/{field}', {value} is not an array.", docs=docs)
    return value


def read_choice(
    document: Document, field: str, choices: set[str], docs: str, *, is_required: bool = False
) -> str | None:
    """Returns one of the texts there are to choose from, or None. Raises GitHubError: 422, it is none of them."""
    value = read_text(document, field, docs, is_required=is_required)
    if value is not None and value not in choices:
        listed = ", ".join(f'"{choice}"' for choice in sorted(choices))
        message = f"Invalid request.\n\nFor 'properties/{field}', {value} is not a member of [{listed}]."
        raise GitHubError(422, message, docs=docs)
    return value


def add_missing(present: list[str], wanted: list[str]) -> None:
    """Appends what is not there yet; GitHub ignores the case of labels and logins."""
    for each in wanted:
        if each.lower() not in {name.lower() for name in present}:
            present.append(each)
