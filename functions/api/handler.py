"""Lambda entry point of the API: Mangum turns API Gateway v2 events into ASGI.

https://mangum.fastapiexpert.com/
"""

import asyncio
from typing import Any

from mangum import Mangum

from functions.api.app import create_app
from shared import bootstrap

_deps = bootstrap.api()
_mangum = Mangum(create_app(_deps), lifespan="off")


@_deps.telemetry.observe
def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's context object
    """Answers one request."""
    # Mangum runs on the event loop of the calling thread; a worker thread of the local front has none yet.
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
    answer: dict[str, Any] = _mangum(event, context)
    return answer
