"""Lambda entry point of migrate: a custom resource on deploy, before code that needs the schema."""

from typing import Any

from shared import bootstrap

_migrate = bootstrap.migrate()


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Brings schema and default workflows up to date. A stack that is deleted keeps its schema."""
    workflows = [] if event.get("RequestType") == "Delete" else _migrate()
    return {"PhysicalResourceId": "schema", "Data": {"Workflows": ",".join(workflows)}}
