"""What is deployed in the test: the code as it is packaged for AWS, and layers that are empty.

The layers' libraries are built for Python 3.13 on arm64, and the emulator runs functions with this very interpreter,
whose environment has the same libraries by the same lock.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from infra.packaging import (
    ASSETS_FILE,
    CODE,
    INGEST,
    LAYERS,
    Asset,
    copy_files,
    hash_files,
    list_code,
    list_ingest_code,
)


def package_code(target: Path, overlay: Path | None = None) -> None:
    """Packages the functions into ``target``, with ``overlay``'s files laid over the code: a later version of it."""
    copy_files(list_code(), target / CODE)
    copy_files(list_ingest_code(), target / INGEST)
    if overlay is not None:
        shutil.copytree(overlay, target / CODE, dirs_exist_ok=True)
    for layer in LAYERS:
        (target / layer / "python").mkdir(parents=True)
        (target / layer / "python" / "EMPTY").write_text(f"{layer}: the interpreter's own libraries serve\n")
    described = {name: asdict(_describe(target / name)) for name in (CODE, INGEST, *LAYERS)}
    (target / ASSETS_FILE).write_text(json.dumps(described))


def _describe(target: Path) -> Asset:
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Asset(path=str(target), hash=hash_files(target), size_bytes=size, has_bytecode=False)
