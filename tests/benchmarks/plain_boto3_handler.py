"""Ingest as one writes it first: boto3, verify, send. It checks, logs and counts nothing else."""

import hashlib
import hmac
import json
import os
from base64 import b64decode
from typing import Any

import boto3  # type: ignore[import-untyped]  # it ships no types

SECRET = os.environ["GITHUB_WEBHOOK_SECRET"].encode()
QUEUE_URL = os.environ["DELIVERIES_QUEUE_URL"]
sqs = boto3.client("sqs")


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers 202 once the queue has the delivery, 401 when it is not signed."""
    headers, body = event["headers"], event["body"]
    raw = b64decode(body) if event["isBase64Encoded"] else body.encode()
    signature = "sha256=" + hmac.new(SECRET, raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, headers.get("x-hub-signature-256", "")):
        return {"statusCode": 401}
    payload = json.loads(raw)
    sqs.send_message(
        QueueUrl=QUEUE_URL,
        MessageBody=json.dumps({"event": headers["x-github-event"], "payload": payload}),
        MessageGroupId=payload.get("repository", {}).get("full_name", "none"),
        MessageDeduplicationId=headers["x-github-delivery"],
    )
    return {"statusCode": 202}
