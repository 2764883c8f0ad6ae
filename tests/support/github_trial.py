"""Trying GitHub's actions one by one at the sandbox: subjects are scripted, acted on and read."""

from typing import Any

from shared.domain.effect import Effect
from shared.ports import Action
from tests.support.factories import SHA
from tests.support.outside import read_document
from tests.support.sandbox_server import SandboxServer

ID = "0b4f6d5e-0000-4000-8000-00000000000a"
R = "/repos/acme/widgets"
OTHER_SHA = "a" * 40


def plan(action: Action, effect_id: str = ID, document: dict[str, Any] | None = None, **arguments: object) -> Effect:
    """Returns an effect on the pull request of ``read_document``, or on the subject of ``document``."""
    return Effect(effect_id, "github.x", action.plan(arguments, document or read_document()))


def script(server: SandboxServer, **members: object) -> None:
    """Gives that pull request a head and ``members``."""
    subject = {"owner": "acme", "repo": "widgets", "number": 7, "head_sha": SHA, **members}
    server.client.post("/_subjects", json=subject).raise_for_status()


def read(server: SandboxServer, path: str) -> Any:  # noqa: ANN401 - JSON of any form
    """Returns what GitHub shows at a path of the repository."""
    return server.client.get(f"{R}/{path}").raise_for_status().json()
