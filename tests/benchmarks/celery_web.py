"""The Celery version's web application: FastAPI verifies a webhook and hands it to Celery.

Publishing waits for Redis, so it does so in a thread, as FastAPI advises: https://fastapi.tiangolo.com/async/
"""

import hashlib
import hmac
import os
import time

from fastapi import FastAPI, HTTPException, Request
from starlette.concurrency import run_in_threadpool

from tests.benchmarks.celery_worker import record_delivery

SECRET = os.environ["GITHUB_WEBHOOK_SECRET"].encode()
app = FastAPI()


@app.get("/health")
async def read_health() -> dict[str, str]:
    """Says that it is up."""
    return {"status": "ok"}


@app.post("/api/v1/webhooks/github", status_code=202)
async def receive_webhook(request: Request) -> dict[str, str]:
    """Answers 202 once Redis has the delivery."""
    body = await request.body()
    signature = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature.encode(), request.headers.get("x-hub-signature-256", "").encode()):
        raise HTTPException(401)
    delivery_id, event = request.headers["x-github-delivery"], request.headers["x-github-event"]
    await run_in_threadpool(record_delivery.delay, delivery_id, event, time.time(), body.decode())
    return {"status": "accepted"}
