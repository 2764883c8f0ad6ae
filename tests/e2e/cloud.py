"""An AWS of the test's own: ministack with IAM enforced, and the Postgres, Valkey, GitHub and Codegen behind it."""

import contextlib
import os
import ssl
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]  # it ships no types
import httpx
import psycopg

from shared.local.free_ports import HOST, choose_port
from shared.local.postgres import build_postgres, choose_postgres
from shared.local.servers import AWS_CREDENTIALS, build_environment, build_valkey, make_directories
from shared.local.supervisor import Program, Supervisor
from tests.e2e.tls_front import TlsFront
from tests.support.certificates import issue_certificates

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
# RDS's user, who owns the database and is no superuser.
CREATE_OWNER = """
create role orchestrator login;
alter database orchestrator owner to orchestrator;
"""


class Cloud:
    """Everything that is there before the product is deployed; stopped at the end of its block."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificates = issue_certificates(directory)
        self._ports: list[int] = []
        self._on_exit = contextlib.ExitStack()
        self._supervisor = Supervisor(directory / "state")
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            started.enter_context(self._supervisor)
            state_dir = self._supervisor.state_dir
            environment = {"PATH": os.environ["PATH"]}
            plain = build_environment(environment, state_dir)
            postgres = choose_postgres(state_dir, environment, plain)
            self._start(build_postgres(postgres, state_dir / "postgres", self._port(), plain))
            self._start(build_valkey(state_dir / "valkey", self._port(), environment))
            with psycopg.connect(self.addresses["postgres"]) as connection:
                connection.execute(CREATE_OWNER)
            fronts = {
                name: started.enter_context(
                    TlsFront(
                        urlsplit(self.addresses[name]).port or 0, self.certificates, is_postgres=name == "postgres"
                    )
                )
                for name in ("postgres", "valkey")
            }
            self._start(self._plan_aws(fronts["postgres"].port, fronts["valkey"].port))
            for name, options in (("github", []), ("codegen", ["--run-seconds", "0.2"])):
                self._start(self._plan_sandbox(name, *options))
            self._on_exit = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on_exit.close()

    @property
    def url(self) -> str:
        """Where AWS is."""
        return self.addresses["aws"]

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program needs to find this AWS, and nothing of the developer's own."""
        return {
            **AWS_CREDENTIALS,
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "NODE_EXTRA_CA_CERTS": str(self.certificates.authority),
        }

    def connect(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Returns a client with all rights, to be closed."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=AWS_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=AWS_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            verify=str(self.certificates.authority),
        )

    def read_log(self, name: str) -> str:
        """Returns what a program has written."""
        return (self._supervisor.state_dir / "logs" / f"{name}.log").read_text(errors="replace")

    def _start(self, program: Program) -> None:
        self._supervisor.start(program)
        self.addresses[program.name] = str(program.address)

    def _port(self) -> int:
        self._ports.append(choose_port("PORT", avoid=self._ports))
        return self._ports[-1]

    def _plan_aws(self, database_port: int, cache_port: int) -> Program:
        directory = self._supervisor.state_dir / "aws"
        port = self._port()
        address = f"https://{HOST}:{port}"
        return Program(
            name="aws",
            # By its file: what is on the path here would be on the functions' path too.
            argv=(sys.executable, "-P", str(Path(__file__).with_name("emulator.py"))),
            # The functions inherit it; the rest of their environment is by the template.
            env={
                **AWS_CREDENTIALS,
                "PATH": os.environ["PATH"],
                "HOME": str(directory),
                "TMPDIR": str(directory / "tmp"),
                "AUTH": "true",
                "USE_SSL": "1",
                "MINISTACK_SSL_CERT": str(self.certificates.certificate),
                "MINISTACK_SSL_KEY": str(self.certificates.key),
                "SSL_CERT_FILE": str(self.certificates.authority),
                "NODE_EXTRA_CA_CERTS": str(self.certificates.authority),
                "BIND_HOST": HOST,
                "GATEWAY_PORT": str(port),
                "MINISTACK_HOST": HOST,
                "LAMBDA_EXECUTOR": "local",
                "DATABASE_PORT": str(database_port),
                "REDIS_HOST": HOST,
                "REDIS_PORT": str(cache_port),
                "SFTP_ENABLED": "0",
                "IOT_MTLS_ENABLED": "0",
                "DOCKER_HOST": f"unix://{directory / 'no-docker.sock'}",
            },
            cwd=directory,
            address=address,
            prepare=partial(make_directories, directory, directory / "tmp"),
            ready=partial(self._is_up, f"{address}/_ministack/health"),
            # It keeps nothing that a clean stop would save, and takes its time.
            stop_seconds=1.0,
        )

    def _plan_sandbox(self, name: str, *options: str) -> Program:
        port = self._port()
        state = self._supervisor.state_dir / "sandbox"
        address = f"http://{HOST}:{port}"
        command = (sys.executable, "-m", "shared.local.sandbox", name, "--port", str(port), "--state", str(state))
        return Program(
            name=name,
            argv=(*command, *options),
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
            cwd=ROOT,
            address=address,
            ready=partial(self._is_up, f"{address}/_health"),
        )

    def _is_up(self, address: str) -> bool:
        try:
            return httpx.get(address, timeout=2, trust_env=False, verify=self.tls).is_success
        except httpx.TransportError:
            return False

    @property
    def tls(self) -> ssl.SSLContext:
        """What a client of this AWS trusts."""
        return ssl.create_default_context(cafile=str(self.certificates.authority))
