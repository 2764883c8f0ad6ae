"""What the routes of every noun have in common: pages, and what is not there."""

from typing import Annotated, Any

from fastapi import HTTPException, Query

from shared.domain.page import Page

Limit = Annotated[int, Query(ge=1, le=200, description="How many to return at the most")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before")]


def show_page(page: Page) -> dict[str, Any]:
    """Returns a page as the API shows it."""
    return {"items": page.items, "next_cursor": page.next_cursor}


def find(document: dict[str, Any] | None, noun: str) -> dict[str, Any]:
    """Returns the document. Raises HTTPException (404) when there is none."""
    if document is None:
        raise HTTPException(404, f"there is no such {noun}")
    return document
