"""What each function takes to start from its packaged artefacts, laid out as Lambda lays them out, and their sizes.

Lambda's order: the function's code, its layer, then what the runtime brings. Nothing else is on the path, neither this
repository nor its environment, so that a layer which lacks a library fails here too.
https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-searchpath
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.packaging import (
    CODE,
    INGEST,
    LAYERS,
    MAX_INGEST_BYTES,
    MAX_UNZIPPED_BYTES,
    ROOT,
    Asset,
    build_assets,
    compile_bytecode,
    find_interpreter,
    install_layer,
    install_packages,
)
from infra.shapes import SHAPES
from tests.benchmarks.process_cpu import read_cpu_seconds
from tests.benchmarks.runtime_api import LambdaFunction
from tests.benchmarks.table import Figure

# What Lambda's Python brings besides the standard library.
RUNTIME = ("awslambdaric", "boto3")
PLAIN, TRIVIAL = "plain_boto3_handler", "trivial_handler"
# As a deployment has them; a function connects to nothing until it has something to do.
SETTINGS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DATABASE_URL": "postgresql://orchestrator@database.invalid/orchestrator",
    "REDIS_URL": "rediss://cache.invalid:6379/0",
    "DELIVERIES_QUEUE_URL": "https://sqs.invalid/deliveries.fifo",
    "TASKS_QUEUE_URL": "https://sqs.invalid/tasks",
    "BODIES_BUCKET": "bodies",
    "GITHUB_WEBHOOK_SECRET": "a secret of the benchmarks",
    "GITHUB_TOKEN": "none",
    "CODEGEN_TOKEN": "none",
    "CODEGEN_ORG_ID": "1",
    "API_TOKEN": "none",
    "ENVIRONMENT": "benchmark",
    "ENABLE_TRACING": "true",
    # Lambda mounts the code where it cannot be written to.
    "PYTHONDONTWRITEBYTECODE": "1",
}
MEGABYTE = 1_000_000


def measure_packaged(directory: Path, *, rounds: int, on_progress: Callable[[str], None]) -> list[Figure]:
    """Packages everything and starts each function in turn.

    Args:
        directory: for the artefacts.
        rounds: processes of each function.
        on_progress: told what is going on.
    """
    on_progress("packaged: building the artefacts for Lambda")
    sizes = measure_sizes(build_assets(directory / "lambda"))
    interpreter = find_interpreter() or sys.executable
    on_progress(f"packaged: building them for this machine, {interpreter}")
    build_for_this_machine(directory / "lambda", directory / "here", interpreter)
    names = [*SHAPES, PLAIN, TRIVIAL]
    costs: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        on_progress(f"packaged: round {number + 1} of {rounds}")
        for name in names:
            costs[name].append(measure_init(name, directory / "here", interpreter))
    cheapest = {name: min(found) for name, found in costs.items()}
    plain = cheapest[PLAIN] - cheapest[TRIVIAL]
    inits = [
        Figure(f"{name}, packaged: CPU of init", "ms", cheapest[name] - cheapest[TRIVIAL], plain) for name in SHAPES
    ]
    return [*sizes, *inits]


def measure_sizes(assets: Mapping[str, Asset]) -> list[Figure]:
    """Returns the unzipped sizes of what a function of each kind is given, as Lambda limits them."""
    code = assets[CODE].size_bytes
    return [
        Figure("ingest: artefact", "MB", assets[INGEST].size_bytes / MEGABYTE, budget=MAX_INGEST_BYTES / MEGABYTE),
        Figure("code of the others", "MB", code / MEGABYTE),
        *(
            Figure(
                f"layer {name}, with the code",
                "MB",
                (code + assets[name].size_bytes) / MEGABYTE,
                budget=MAX_UNZIPPED_BYTES / MEGABYTE,
            )
            for name in LAYERS
        ),
    ]


def build_for_this_machine(packaged: Path, target: Path, interpreter: str) -> None:
    """Takes over the code that was packaged, and installs the layers' locks and the runtime for this machine."""
    for name in (CODE, INGEST):
        shutil.copytree(packaged / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for layer in LAYERS:
        install_layer(layer, target / layer / "python", interpreter=interpreter)
    install_packages(
        [*RUNTIME, "--constraint", str(ROOT / "requirements-dev.txt")], target / "runtime", interpreter=interpreter
    )
    for name in (PLAIN, TRIVIAL):
        (target / name).mkdir()
        shutil.copyfile(Path(__file__).with_name(f"{name}.py"), target / name / f"{name}.py")
    for name in (CODE, INGEST, *LAYERS, "runtime", PLAIN, TRIVIAL):
        compile_bytecode(target / name, interpreter)


def measure_init(name: str, artefacts: Path, interpreter: str) -> float:
    """Returns the CPU milliseconds that a process takes until it asks for its first event."""
    path, handler = [artefacts / name], f"{name}.handle"
    if name in SHAPES:
        layer = SHAPES[name].layer
        path = [artefacts / (INGEST if name == "ingest" else CODE)]
        path += [artefacts / layer / "python"] if layer is not None else []
        handler = f"functions.{name}.handler.handle"
    environment = {**SETTINGS, "PYTHONPATH": ":".join(str(each) for each in [*path, artefacts / "runtime"])}
    # -S: without the environment that the interpreter may belong to.
    with LambdaFunction(handler, environment, interpreter=(interpreter, "-S")) as function:
        return read_cpu_seconds(function.pid) * 1000
