"""What is deployed in the test: functions as they are packaged for AWS, and layers that are empty.

The layers' libraries are built for Python 3.13 on arm64, and the emulator runs functions with this very interpreter,
whose environment has the same libraries by the same lock; ``tests.benchmarks`` runs each function on its own layer.

``python -m tests.e2e.assets`` freezes the functions of this tree as the release that the next one replaces. It is for
the moment before a migration is written: the test then has the older code work on the newer schema.
"""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path

from infra.packaging import (
    ASSETS_FILE,
    CODE,
    INGEST,
    LAYERS,
    ROOT,
    Asset,
    copy_files,
    hash_files,
    list_code,
    list_ingest_code,
)

RELEASE = ROOT / "tests" / "data" / "previous-release.zip"
MIGRATIONS = f"{CODE}/shared/sql/migrations/versions/"


def package_tree(target: Path) -> None:
    """Packages the functions of this tree."""
    copy_files(list_code(), target / CODE)
    copy_files(list_ingest_code(), target / INGEST)
    _complete(target)


def package_release(target: Path) -> None:
    """Packages the functions of the release before."""
    with zipfile.ZipFile(RELEASE) as archive:
        archive.extractall(target)
    _complete(target)


def read_released_migrations() -> dict[str, bytes]:
    """Returns the migrations of the release before, by file name."""
    with zipfile.ZipFile(RELEASE) as archive:
        found = [name for name in archive.namelist() if name.startswith(MIGRATIONS)]
        return {name.removeprefix(MIGRATIONS): archive.read(name) for name in found}


def freeze_release() -> None:
    """Keeps the functions of this tree as the release before."""
    with zipfile.ZipFile(RELEASE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for folder, paths in ((CODE, list_code()), (INGEST, list_ingest_code())):
            for path in sorted(paths):
                # Without a time: the same input makes the same archive.
                member = zipfile.ZipInfo(f"{folder}/{path.as_posix()}")
                archive.writestr(member, (ROOT / path).read_bytes(), zipfile.ZIP_DEFLATED)


def _complete(target: Path) -> None:
    for layer in LAYERS:
        (target / layer / "python").mkdir(parents=True)
        (target / layer / "python" / "EMPTY").write_text(f"{layer}: the interpreter's own libraries serve\n")
    described = {name: asdict(_describe(target / name)) for name in (CODE, INGEST, *LAYERS)}
    (target / ASSETS_FILE).write_text(json.dumps(described))


def _describe(target: Path) -> Asset:
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Asset(path=str(target), hash=hash_files(target), size_bytes=size, has_bytecode=False)


if __name__ == "__main__":
    freeze_release()
