"""What the sandboxes were asked is held against GitHub's and Codegen's own documents."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from shared.adapters.http import USER_AGENT
from tests.acceptance.local_stack import LocalStack
from tests.support.outside import CODEGEN_ERRORS, GITHUB_ERRORS, check_graphql
from tests.support.sandbox_server import Contract

DOCUMENTS = {
    "github": ("github-openapi-trimmed.json", "https://api.github.com", GITHUB_ERRORS),
    "codegen": ("codegen-openapi.json", "https://api.codegen.com", CODEGEN_ERRORS),
}


def check_requests(stack: LocalStack) -> dict[str, int]:
    """Checks every request that the product has sent; returns how many there were of each service.

    Raises:
        AssertionError: a mutation that the GraphQL schema does not know.
        openapi_core.exceptions.OpenAPIError: the document does not describe the request.
    """
    counts = {}
    for name, document in DOCUMENTS.items():
        contract = Contract(*document)
        received = [each for each in stack.list_received(name) if each["headers"]["user-agent"] == USER_AGENT]
        for each in received:
            _check(contract, each)
        counts[name] = len(received)
    return counts


def _check(contract: Contract, received: Mapping[str, Any]) -> None:
    content = b"" if received["body"] is None else json.dumps(received["body"]).encode()
    if received["path"] == "/graphql":
        check_graphql(content)
        return
    headers = {name: value for name, value in received["headers"].items() if name != "content-length"}
    url = f"http://sandbox{received['path']}?{received['query']}"
    contract.check_request(httpx.Request(received["method"], url, headers=headers, content=content))
