"""Stages: what differs between two installations, as typed values.

A stage's connections: each environment of a function that records holds one, so the sum of their reserved
concurrency must leave room in the database. Its `max_connections` is what RDS derives from the memory,
``LEAST(DBInstanceClassMemory / 9531392, 5000)``.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
"""

from dataclasses import dataclass

# What the development stage costs in a month in which nothing happens: us-east-1, dollars, 730 hours, no free tier
# but the three dashboards that every account has. A test sums it up and counts the alarms.
# https://aws.amazon.com/rds/postgresql/pricing/ https://aws.amazon.com/elasticache/pricing/
DEV_IDLE_DOLLARS: dict[str, float] = {
    "Postgres, db.t4g.micro and 20 GB gp3": 13.98,
    "Valkey, cache.t4g.micro": 9.34,
    "NAT instance, t4g.nano": 3.07,
    "its public IPv4 address": 3.65,
    "its 8 GB gp3": 0.64,
    "five secrets": 2.00,
    "alarms, 0.10 a metric": 3.60,
    "event sources polling four queues, 2.6 million requests": 1.19,
    "two custom metrics of reconcile": 0.60,
    "reconcile every minute, and all logs": 0.20,
}
IDLE_LIMIT_DOLLARS = 40.0

# What monitoring, backups and a person with psql may need beside the functions.
SPARE_CONNECTIONS = 10


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """How many environments of each function may run at once: reserved, so that none starves another."""

    ingest: int
    route: int
    execute: int
    api: int
    # Two queues feed bury, and Lambda wants at least two for each.
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
    bury: int = 4
    # Two reconciles at once would enqueue the same tasks twice, which does no harm and no good.
    reconcile: int = 1
    migrate: int = 1

    @property
    def connections(self) -> int:
        """Connections to the database when all of them run."""
        return self.route + self.execute + self.api + self.bury + self.reconcile + self.migrate


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A name of one's own for the API, with TLS.

    Attributes:
        name: ``hooks.example.com``.
        certificate_arn: of a certificate in the stack's region; without one it is issued through the zone.
        zone_id: of the Route 53 zone that gets the records; without one they are the operator's to write.
        zone_name: ``example.com``.
    """

    name: str
    certificate_arn: str | None = None
    zone_id: str | None = None
    zone_name: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a name that could not be served."""
        if (self.zone_id is None) != (self.zone_name is None):
            raise ValueError("a zone has both an id and a name")
        if self.certificate_arn is None and self.zone_id is None:
            raise ValueError("a domain needs a certificate, or a zone to have one issued through")


@dataclass(frozen=True, kw_only=True)
class Edge:
    """CloudFront with a WAF in front of the API's own domain; an HTTP API takes no WAF itself.

    Attributes:
        name: under which the webhooks arrive.
        certificate_arn: for ``name``, in us-east-1, where CloudFront looks for it.
    """

    name: str
    certificate_arn: str


@dataclass(frozen=True, kw_only=True)
class BackupCopy:
    """A second region that gets the database's snapshots and logs, for point-in-time recovery there.

    Attributes:
        region: ``eu-central-1``.
        kms_key_arn: a key of that region.
    """

    region: str
    kms_key_arn: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One installation.

    Attributes:
        name: ``dev``; the value of the metrics' dimension ``environment``.
        concurrency: of the functions.
        database_class: ``t4g.micro``, without ``db.``.
        database_connections: that instance's ``max_connections``.
        database_gigabytes: of storage; it grows by itself to five times that.
        database_proxy: put RDS Proxy in front of the database. It refuses start-up options in a connection, and
            the functions find it by ``DATABASE_HOST``: see docs/operations.md#database-proxy before setting it.
        cache_class: ``cache.t4g.micro``.
        is_durable: Multi-AZ, deletion protection, two weeks of backups, NAT gateways and endpoints.
        requests_per_second: what the API takes before it answers 429.
        log_days: how long logs are kept; one of the values CloudWatch knows.
        body_days: how long large bodies are kept.
        trace_rate: the share of requests that X-Ray records.
        domain: a name of one's own.
        edge: CloudFront and WAF; needs a domain.
        backup_copy: a second region for the backups.
        reserve_concurrency: False for an account whose limit is still 10: reserving fails there.
        alarm_email: who is told of alarms.
        log_level: of the functions.
        github_api_url: GitHub Enterprise Server's, or None for github.com.
        codegen_api_url: None for Codegen's own.
    """

    name: str
    concurrency: Concurrency
    database_class: str
    database_connections: int
    database_gigabytes: int
    cache_class: str
    is_durable: bool
    requests_per_second: int
    log_days: int
    body_days: int
    trace_rate: float
    database_proxy: bool = False
    domain: Domain | None = None
    edge: Edge | None = None
    backup_copy: BackupCopy | None = None
    reserve_concurrency: bool = True
    alarm_email: str | None = None
    log_level: str = "INFO"
    github_api_url: str | None = None
    codegen_api_url: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a stage that could not work."""
        if self.edge is not None and self.domain is None:
            raise ValueError("CloudFront needs the API's own domain as its origin")
        if self.backup_copy is not None and not self.is_durable:
            raise ValueError("only a durable stage has backups worth a second region")
        room = self.database_connections - SPARE_CONNECTIONS
        if not self.database_proxy and self.concurrency.connections > room:
            raise ValueError(f"the functions may open {self.concurrency.connections} connections, and {room} are free")


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="dev",
            concurrency=Concurrency(ingest=20, route=5, execute=10, api=5),
            database_class="t4g.micro",
            database_connections=80,
            database_gigabytes=20,
            cache_class="cache.t4g.micro",
            is_durable=False,
            requests_per_second=100,
            log_days=14,
            body_days=30,
            trace_rate=1.0,
        ),
        Stage(
            name="prod",
            concurrency=Concurrency(ingest=200, route=40, execute=80, api=20),
            database_class="t4g.medium",
            database_connections=400,
            database_gigabytes=100,
            cache_class="cache.t4g.small",
            is_durable=True,
            requests_per_second=1_000,
            log_days=30,
            body_days=90,
            trace_rate=0.05,
        ),
    )
}
