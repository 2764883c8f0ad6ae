"""The restore that docs/deployment.md describes: a dump, a new database, and everything is as it was."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from shared import bootstrap
from shared.adapters.postgres.database import Database
from shared.adapters.postgres.deliveries import PostgresDeliveries
from shared.adapters.postgres.reading import PostgresReading
from shared.adapters.postgres.workflows import PostgresWorkflows
from shared.domain.delivery import Delivery
from shared.domain.run import PlannedRun
from shared.domain.workflow import judge
from shared.local.free_ports import choose_port
from shared.local.postgres import build_postgres, choose_postgres, find_binaries
from shared.local.servers import build_environment
from shared.local.supervisor import Supervisor
from tests.support.factories import build_delivery, build_payload

DELIVERIES = 20


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("pg")
    environment = build_environment({}, directory)
    with Supervisor(directory) as supervisor:
        postgres = choose_postgres(directory, {}, environment)
        server = build_postgres(postgres, directory / "postgres", choose_port("PORT"), environment)
        supervisor.start(server)
        yield str(server.address)


def record_deliveries(url: str) -> list[Delivery]:
    bootstrap.migrate({"DATABASE_URL": url})()
    database = Database(url)
    records = PostgresDeliveries(database)
    in_force = PostgresWorkflows(database).read()
    # What is hard to keep: the characters that JSON columns refuse, byte for byte.
    deliveries = [build_delivery(build_payload(number=number, note="\x00\ud800é")) for number in range(DELIVERIES)]
    for delivery in deliveries:
        verdicts = [judge(each, "pull_request", delivery.action, delivery.document) for each in in_force]
        matched = [PlannedRun(each) for each, verdict in zip(in_force, verdicts, strict=True) if verdict.matched]
        records.record_delivery(delivery, verdicts, matched)
    database.close()
    return deliveries


def run(program: str, *arguments: str) -> None:
    command = [str(find_binaries({}) / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr


def count_rows(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        counts = {}
        for (table,) in tables:
            row = connection.execute(psycopg.sql.SQL("select count(*) from {}").format(psycopg.sql.Identifier(table)))
            [counts[table]] = row.fetchone() or [0]
    return counts


def test_a_dump_restores_everything_and_the_schema_is_current(database_url: str, tmp_path: Path) -> None:
    deliveries = record_deliveries(database_url)
    dump = tmp_path / "orchestrator.dump"
    restored_url = database_url.rpartition("/")[0] + "/restored"

    run("pg_dump", "--format=custom", f"--file={dump}", database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create database restored")
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored_url}", str(dump))

    before, after = count_rows(database_url), count_rows(restored_url)
    assert before == after
    assert before["deliveries"] == DELIVERIES
    assert before["runs"] == DELIVERIES
    old, new = Database(database_url), Database(restored_url)
    for delivery in deliveries:
        delivery_id = UUID(delivery.envelope.delivery_id)
        document = PostgresReading(old).read_delivery("github", delivery_id)
        assert document is not None
        assert PostgresReading(new).read_delivery("github", delivery_id) == document
    bodies = "select key, body from deliveries order by key"
    assert new.fetch(bodies) == old.fetch(bodies)
    # A delivery that GitHub sends again is known: the identity came along.
    assert PostgresDeliveries(new).record_delivery(deliveries[0], [], []).is_known
    old.close()
    new.close()
    # The functions' next deployment finds the schema as it wants it.
    assert bootstrap.migrate({"DATABASE_URL": restored_url})()
