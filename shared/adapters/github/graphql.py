"""GraphQL: what GitHub's REST API cannot do. Its errors come with HTTP 200.

https://docs.github.com/en/graphql/guides/forming-calls-with-graphql
"""

import time
from collections.abc import Mapping
from typing import Any

from shared.adapters.github.addresses import derive_graphql_url
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.refusals import SECONDARY_LIMIT_SECONDS, UPSTREAM
from shared.adapters.http import read_object, read_retry_after
from shared.domain.errors import Limited, OutcomeUnknown, Permanent


class GraphqlRefusal(Permanent):
    """GitHub answered with errors; ``message`` is what they say."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"github refused {name}: {message}")
        self.message = message


def mutate(
    client: GitHubClient, name: str, mutation: str, mutation_input: Mapping[str, Any], *, repository: str
) -> None:
    """Sends a mutation that takes one ``$input``.

    Args:
        client: of the REST API.
        name: of the mutation, for messages.
        mutation: GraphQL.
        mutation_input: its ``$input``.
        repository: in whose name it is sent.

    Raises:
        GraphqlRefusal: GitHub understood and refused.
        Limited, OutcomeUnknown, Transient, Permanent: as ``GitHubClient.request``.
    """
    document = {"query": mutation, "variables": {"input": mutation_input}}
    response = client.request("POST", derive_graphql_url(client.base_url), repository=repository, json=document)
    errors = [error for error in read_object(response).get("errors") or [] if isinstance(error, dict)]
    if not errors:
        return
    message = "; ".join(str(error.get("message", "")) for error in errors)
    if any(error.get("type") == "RATE_LIMITED" for error in errors) or "secondary rate limit" in message.lower():
        raise Limited(
            UPSTREAM, f"github limits {name}: {message}", _read_wait(response.headers, read_retry_after(response))
        )
    if message.startswith("Something went wrong while executing your query"):
        # GitHub's own fault, which REST would tell by a status of the 5xx class.
        raise OutcomeUnknown(f"github failed at {name}: {message}")
    raise GraphqlRefusal(name, message)


def _read_wait(headers: Mapping[str, str], retry_after: float | None) -> float:
    if retry_after is not None:
        return retry_after
    if headers.get("x-ratelimit-remaining") == "0":
        return max(1.0, float(headers.get("x-ratelimit-reset", "0")) - time.time())
    return SECONDARY_LIMIT_SECONDS
