"""One JSON line for each outcome, that is the log entry and the metrics at once.

CloudWatch reads metrics out of log lines in the embedded metric format, and the format allows any other
member beside them, so one line serves both. Standard library only: ingest writes it at every delivery.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import re
import sys
import time
from collections.abc import Mapping

NAMESPACE = "WebhookOrchestrator"

# What credentials look like wherever they turn up: GitHub's tokens (of any length, with dots since 2026),
# bearer headers, signatures, PEM keys, passwords in addresses.
_SECRETS = re.compile(
    r"gh[pousr]_[\w.\-]{20,}|github_pat_\w{20,}|\bsk-[\w\-]{16,}"
    r"|(?<=[Bb]earer )[\w.\-~+/=]+|sha256=[0-9a-f]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^/\s@:]*:[^/\s@]+(?=@)",
    re.DOTALL,
)
# Every credential contains one of these. Looking for them costs a thirtieth of the pattern, and every line pays.
_HINTS = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "sk-", "earer ", "sha256=", "PRIVATE KEY", "@")
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def redact(text: str) -> str:
    """Returns ``text`` with everything that looks like a credential replaced by ``***``."""
    for hint in _HINTS:
        if hint in text:
            return _SECRETS.sub("***", text)
    return text


def write_outcome(
    message: str,
    fields: Mapping[str, object],
    *,
    function: str,
    environment: str,
    level: str = "INFO",
    metrics: Mapping[str, float] | None = None,
    dimensions: tuple[str, ...] = (),
) -> None:
    """Writes one line to standard output.

    Args:
        message: what happened, ``noun.past_verb``.
        fields: ids and facts; those named in ``dimensions`` are also the metrics' dimensions.
        function: the function that speaks.
        environment: the stage.
        level: of the log entry.
        metrics: name and value of each metric, counts unless the name ends with ``_seconds``.
        dimensions: names in ``fields`` with few values.
    """
    now = time.time()
    line: dict[str, object] = {
        "level": level,
        "message": message,
        "timestamp": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z",
        "service": function,
        "environment": environment,
        **fields,
    }
    if metrics:
        line.update(metrics)
        line["_aws"] = {
            "Timestamp": int(now * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["environment", "service", *dimensions]],
                    "Metrics": [
                        {"Name": name, "Unit": "Seconds" if name.endswith("_seconds") else "Count"} for name in metrics
                    ],
                }
            ],
        }
    # One write, so that lines of several threads do not mix. default=str: a log line never fails.
    sys.stdout.write(redact(_encode(line)) + "\n")
    sys.stdout.flush()
