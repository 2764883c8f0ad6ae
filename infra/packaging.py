"""Packages what Lambda runs, without Docker: two code assets and one layer for each group of functions.

``python -m infra.packaging`` writes them to ``build/`` and their hashes to ``build/assets.json``. A hash is taken
of the files without their bytecode, so that it depends on source and lock alone, never on the machine: bytecode is
written where a Python 3.13 is found, and ``--require-bytecode`` (a deployment) fails without one.

Bytecode is "unchecked hash": CDK's archive sets every file's time to 1980, with which timestamped bytecode is stale
and would be compiled anew at every cold start. https://peps.python.org/pep-0552/
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
ASSETS_FILE = "assets.json"

# Lambda's Python 3.13 runs on Amazon Linux 2023, glibc 2.34; wheels of psycopg 3.3 need at least 2.28.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
PYTHON_VERSION = "3.13"
LAMBDA_PLATFORM = "aarch64-manylinux_2_28"

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
MAX_INGEST_BYTES = 3 * 1024 * 1024

LAYERS = ("workers", "api", "migrate")
CODE = "code"
INGEST = "ingest"

# The local stack and the in-memory twins of the adapters run on a laptop only.
_LEFT_OUT = ("shared/local", "shared/adapters/memory")
_DEAD_WEIGHT = {".pyi", ".pyx", ".pxd", ".c", ".h", ".pyc"}
# uv writes these anew at each installation; none is read at run time.
_INSTALLER_NOTES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
# Its settings only need to be well-formed: ingest is imported, not called.
_INGEST_SETTINGS = {
    "DELIVERIES_QUEUE_URL": "https://queue.invalid",
    "BODIES_BUCKET": "bodies",
    "GITHUB_WEBHOOK_SECRET_ID": "webhook",
}
_IMPORT_INGEST = """
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import functions.ingest.handler
print(json.dumps(sorted(m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None))))
"""


class PackagingError(RuntimeError):
    """An artefact cannot be built, or is larger than Lambda takes."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A packaged folder.

    Attributes:
        path: of the folder.
        hash: of its files without bytecode, SHA-256.
        size_bytes: unzipped, with bytecode.
        has_bytecode: whether bytecode was written.
    """

    path: str
    hash: str
    size_bytes: int
    has_bytecode: bool


def build_assets(
    target: Path = BUILD, *, platform: str = LAMBDA_PLATFORM, require_bytecode: bool = False
) -> dict[str, Asset]:
    """Builds every asset below ``target``, which is emptied, and returns them by name.

    Args:
        target: a folder of this build's own.
        platform: of the wheels, as uv names it.
        require_bytecode: fail where no Python 3.13 is found.

    Raises:
        PackagingError: when something cannot be built or is too large.
    """
    interpreter = find_interpreter()
    if interpreter is None and require_bytecode:
        raise PackagingError(
            f"no Python {PYTHON_VERSION} is found to compile with, and cold starts would take twice as long: "
            f"install one (`uv python install {PYTHON_VERSION}`)"
        )
    shutil.rmtree(target, ignore_errors=True)
    copy_files(list_code(), target / CODE)
    copy_files(list_ingest_code(), target / INGEST)
    for layer in LAYERS:
        install_layer(layer, target / layer / "python", platform)
    assets = {name: _finish(target / name, interpreter) for name in (CODE, INGEST, *LAYERS)}
    check_sizes(assets)
    described = {name: asdict(asset) for name, asset in assets.items()}
    (target / ASSETS_FILE).write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", "utf-8")
    return assets


def read_assets(target: Path = BUILD) -> dict[str, Asset]:
    """Returns what ``build_assets`` built. Raises PackagingError when it has not."""
    try:
        described = json.loads((target / ASSETS_FILE).read_text("utf-8"))
    except FileNotFoundError:
        raise PackagingError("nothing is packaged yet: run `make synth`") from None
    return {name: Asset(**asset) for name, asset in described.items()}


def list_code() -> list[Path]:
    """Returns the files of all functions, relative to the repository."""
    found = (path for room in ("functions", "shared") for path in _list_files(ROOT / room))
    relative = (path.relative_to(ROOT) for path in found)
    return [path for path in relative if not path.as_posix().startswith(tuple(f"{each}/" for each in _LEFT_OUT))]


def list_ingest_code() -> list[Path]:
    """Returns the files that Python opens when it imports ingest with its adapters, relative to the repository.

    Raises:
        PackagingError: when ingest cannot be imported by the standard library alone.
    """
    answer = subprocess.run(  # noqa: S603 - this interpreter, on the repository's own module
        [sys.executable, "-I", "-S", "-c", _IMPORT_INGEST, str(ROOT)],
        env=_INGEST_SETTINGS,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise PackagingError(f"ingest cannot be imported by itself:\n{answer.stderr}")
    paths = [Path(name) for name in json.loads(answer.stdout)]
    return [path.relative_to(ROOT) for path in paths if path.is_relative_to(ROOT)]


def copy_files(paths: Iterable[Path], target: Path) -> None:
    """Copies the repository's files to the same places below ``target``."""
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target / path)


def install_layer(layer: str, target: Path, platform: str = LAMBDA_PLATFORM, *, interpreter: str | None = None) -> None:
    """Installs the layer's lock into ``target`` and prunes it.

    Args:
        layer: of ``LAYERS``.
        target: a new folder.
        platform: of the wheels, as uv names it.
        interpreter: install for this one, on this machine, instead.

    Raises:
        PackagingError: when something cannot be installed.
    """
    lock = ROOT / "layers" / layer / "requirements.txt"
    # --no-deps: the lock is whole, but for what the runtime itself brings.
    options = ["--require-hashes", "--no-deps", "-r", str(lock)]
    install_packages(options, target, platform, interpreter=interpreter)
    prune_layer(target)


def install_packages(
    options: Sequence[str], target: Path, platform: str = LAMBDA_PLATFORM, *, interpreter: str | None = None
) -> None:
    """Installs wheels into ``target``; ``options`` are uv's, the rest is as in ``install_layer``."""
    wanted = ["--python-version", PYTHON_VERSION, "--python-platform", platform]
    if interpreter is not None:
        wanted = ["--python", interpreter]
    wanted += ["--target", str(target), "--only-binary", ":all:", "--link-mode", "copy", "--quiet"]
    answer = subprocess.run(  # noqa: S603 - the project's own uv
        [_uv(), "pip", "install", *wanted, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise PackagingError(f"{target} cannot be filled:\n{answer.stderr}")


def prune_layer(target: Path) -> None:
    """Removes what no function reads: stubs, sources of extensions, tests, scripts, the installer's notes."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for folder in [each for each in target.rglob("*") if each.is_dir() and each.name in {"tests", "__pycache__"}]:
        shutil.rmtree(folder, ignore_errors=True)
    for path in list(_list_files(target)):
        is_note = path.parent.name.endswith(".dist-info") and path.name in _INSTALLER_NOTES
        if path.suffix in _DEAD_WEIGHT or is_note or path == target / ".lock":
            path.unlink()


def hash_files(target: Path) -> str:
    """Returns the SHA-256 of names and contents of the files below ``target``, without bytecode."""
    digest = hashlib.sha256()
    for path in _list_files(target):
        name, content = path.relative_to(target).as_posix().encode(), path.read_bytes()
        digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()


def find_interpreter() -> str | None:
    """Returns a Python 3.13, or None: bytecode is of one minor version only.

    Looked for in ``PYTHON313``, on the PATH, among pyenv's (whose shims fail for versions that are not selected)
    and among uv's.
    """
    name = f"python{PYTHON_VERSION}"
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    candidates = [
        os.environ.get("PYTHON313"),
        *(str(Path(folder) / name) for folder in os.environ.get("PATH", "").split(os.pathsep)),
        *sorted(str(path) for path in pyenv.glob(f"versions/{PYTHON_VERSION}.*/bin/{name}")),
        *_run([_uv(), "python", "find", "--no-project", "--managed-python", "--no-python-downloads", PYTHON_VERSION]),
    ]
    for candidate in candidates:
        ask = "import sys; print(*sys.version_info[:2], sep='.')"
        if candidate and _run([candidate, "-I", "-c", ask]) == [PYTHON_VERSION]:
            return candidate
    return None


def compile_bytecode(target: Path, interpreter: str) -> None:
    """Compiles every module below ``target``. Raises PackagingError."""
    # -p: tracebacks name where Lambda has the file, not where it was built.
    answer = subprocess.run(  # noqa: S603 - the interpreter found above
        [
            *(interpreter, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(target), "-p", "/var/task" if not (target / "python").is_dir() else "/opt", str(target)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise PackagingError(f"{target} cannot be compiled:\n{answer.stdout}{answer.stderr}")


def check_sizes(assets: dict[str, Asset]) -> None:
    """Raises PackagingError when an asset, or a function with its layer, is larger than it may be."""
    code = assets[CODE].size_bytes
    limits = {INGEST: (assets[INGEST].size_bytes, MAX_INGEST_BYTES)}
    limits |= {name: (code + assets[name].size_bytes, MAX_UNZIPPED_BYTES) for name in LAYERS}
    for name, (size, limit) in limits.items():
        if size > limit:
            raise PackagingError(f"{name} takes {size:,} bytes unzipped, and may take {limit:,}")


def _finish(target: Path, interpreter: str | None) -> Asset:
    digest = hash_files(target)
    if interpreter is not None:
        compile_bytecode(target, interpreter)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Asset(path=str(target), hash=digest, size_bytes=size, has_bytecode=interpreter is not None)


def _list_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _run(command: list[str]) -> list[str]:
    """Returns the lines that ``command`` prints; none when it fails or is not there."""
    if not Path(command[0]).is_file():
        return []
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - interpreters and uv
    return answer.stdout.splitlines() if answer.returncode == 0 else []


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise PackagingError("uv is not installed: run `make setup`")
    return found


def main() -> int:
    """Builds, and prints each asset's size."""
    parser = argparse.ArgumentParser(prog="python -m infra.packaging", description=__doc__.partition("\n")[0])
    parser.add_argument("--require-bytecode", action="store_true", help="fail where no Python 3.13 is found")
    given = parser.parse_args()
    try:
        assets = build_assets(require_bytecode=given.require_bytecode)
    except PackagingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for asset in assets.values():
        bytecode = "with bytecode" if asset.has_bytecode else "without bytecode"
        where = os.path.relpath(asset.path, ROOT)
        sys.stdout.write(f"{where:16} {asset.size_bytes / 1e6:6.2f} MB {bytecode}  {asset.hash[:12]}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
