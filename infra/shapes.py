"""The functions' shapes: what each is given. Without CDK, which takes seconds to import."""

from dataclasses import dataclass

# How far into the network a function reaches.
OUTSIDE, RECORDING, ACTING = "outside", "recording", "acting"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a function is given.

    Attributes:
        timeout_seconds: an invocation is ended after so long.
        memory_mb: and CPU with it: a whole one at 1,769.
        layer: of ``infra.packaging.LAYERS``; ingest needs none.
        reach: whether it records, acts (records and reaches the cache), or stays outside the network.
    """

    timeout_seconds: int
    memory_mb: int
    layer: str | None
    reach: str


SHAPES: dict[str, Shape] = {
    # GitHub waits 10 seconds. https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks
    "ingest": Shape(timeout_seconds=10, memory_mb=512, layer=None, reach=OUTSIDE),
    "route": Shape(timeout_seconds=30, memory_mb=512, layer="workers", reach=ACTING),
    "execute": Shape(timeout_seconds=60, memory_mb=512, layer="workers", reach=ACTING),
    "reconcile": Shape(timeout_seconds=60, memory_mb=256, layer="workers", reach=RECORDING),
    "bury": Shape(timeout_seconds=30, memory_mb=256, layer="workers", reach=RECORDING),
    # API Gateway waits 30 seconds.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
    "api": Shape(timeout_seconds=29, memory_mb=512, layer="api", reach=ACTING),
    "migrate": Shape(timeout_seconds=300, memory_mb=512, layer="migrate", reach=RECORDING),
}
