"""The API behind a gateway without a network, over the records in memory."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from mangum import Mangum

from functions.api.app import create_app
from shared.adapters.memory.database import MemoryDatabase
from shared.adapters.memory.instructions import MemoryInstructions, MemorySwitches
from shared.adapters.memory.queues import MemoryTaskQueue
from shared.adapters.memory.reading import MemoryReading
from shared.adapters.memory.workflows import MemoryWorkflows
from shared.adapters.powertools import PowertoolsTelemetry
from shared.adapters.workflow_reading import read_text
from shared.bootstrap import ApiDeps
from shared.config import ApiConfig, read_config
from shared.local.gateway_event import build_event, encode_body, read_result
from shared.local.lambda_context import LambdaContext
from shared.ports import TaskQueue
from tests.support.clock import ManualClock

ENVIRONMENT = {
    "DATABASE_URL": "postgresql://nowhere/db",
    "REDIS_URL": "redis://nowhere",
    "TASKS_QUEUE_URL": "http://nowhere",
    "API_TOKEN": "made-up",
}


class GatewayTransport(httpx.BaseTransport):
    """API Gateway and Lambda, without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._handle: Any = Mangum(app, lifespan="off")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        scope = {
            "method": request.method,
            "path": request.url.path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": None,
            "server": None,
            "scheme": "https",
            "http_version": "1.1",
        }
        body = request.read()
        encoded = encode_body(body, request.headers.get("content-type", "")) if body else None
        answer = read_result(self._handle(build_event(scope, None, encoded), LambdaContext("api", 30.0)))
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


@contextmanager
def open_api(database: MemoryDatabase, queue: TaskQueue | None = None) -> Iterator[httpx.Client]:
    """Gives a client with the API's token; tasks go to ``queue``."""
    config = read_config(ApiConfig, ENVIRONMENT)
    deps = ApiDeps(
        config,
        PowertoolsTelemetry("api", config),
        MemoryReading(database),
        MemoryWorkflows(database),
        read_text,
        MemoryInstructions(database),
        MemorySwitches(database),
        queue or MemoryTaskQueue(ManualClock()),
        lambda: True,
        lambda: None,
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    headers = {"authorization": "Bearer made-up"}
    with httpx.Client(transport=GatewayTransport(create_app(deps)), base_url="http://api", headers=headers) as client:
        yield client
    asyncio.set_event_loop(None)
    loop.close()
