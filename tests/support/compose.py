"""docker-compose.local.yml, and its servers without containers."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from ruamel.yaml import YAML

from shared.local.free_ports import HOST, choose_port
from shared.local.postgres import build_postgres, choose_postgres
from shared.local.servers import build_aws, build_environment, build_valkey
from shared.local.supervisor import Program, Supervisor

FILE = Path(__file__).parents[2] / "docker-compose.local.yml"
SERVICES: dict[str, Any] = YAML(typ="safe", pure=True).load(FILE)["services"]
# What `build_aws` adds because it runs beside other processes of the user.
OF_THE_MACHINE = {"PATH", "HOME", "LC_ALL", "DOCKER_HOST"}


@dataclass(frozen=True)
class Places:
    """Where each server is, by the address that the file has for it."""

    by_address: dict[str, str]

    def replace(self, text: str) -> str:
        """Returns ``text`` with every address of the file replaced."""
        for before, after in self.by_address.items():
            text = text.replace(before, after)
        return text


def _build_aws(directory: Path, port: int) -> Program:
    """Ministack with the file's own environment, but for where it listens and keeps its files."""
    given = {name: str(value) for name, value in SERVICES["aws"]["environment"].items()}
    laptop = build_aws(directory, port, os.environ)
    placed = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        **{name: given[name].replace("/state", str(directory / "volume")) for name in ("STATE_DIR", "S3_DATA_DIR")},
        "TMPDIR": str(directory / "tmp"),
    }
    own = {name: laptop.env[name] for name in OF_THE_MACHINE}
    return Program(
        name="aws",
        argv=(sys.executable, *SERVICES["aws"]["command"][1:]),
        env={**own, **given, **placed},
        ready=laptop.ready,
        address=laptop.address,
        cwd=directory,
        prepare=laptop.prepare,
        stop_seconds=laptop.stop_seconds,
    )


@contextlib.contextmanager
def serve_compose(directory: Path) -> Iterator[Places]:
    """Runs what the file's other services are; gives where they are."""
    environment = build_environment(os.environ, directory)
    with Supervisor(directory) as supervisor:
        postgres = choose_postgres(directory, os.environ, environment)
        database = build_postgres(postgres, directory / "postgres", choose_port("A"), environment)
        cache = build_valkey(directory / "valkey", choose_port("B"), os.environ)
        aws = _build_aws(directory / "aws", choose_port("C"))
        for server in (database, cache, aws):
            supervisor.start(server)
        with psycopg.connect(str(database.address), autocommit=True) as connection:
            connection.execute("create role orchestrator login superuser password 'orchestrator'")
        place = str(database.address).rpartition("@")[2].partition("/")[0]
        redis = str(cache.address).removesuffix("/0")
        yield Places({"postgres:5432": place, "redis://valkey:6379": redis, "http://aws:4566": str(aws.address)})
