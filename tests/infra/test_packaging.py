"""The packages: what is in them, that they run, and that the same input makes the same ones."""

import ast
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra import packaging
from infra.packaging import CODE, INGEST, LAYERS, Asset, PackagingError
from infra.shapes import SHAPES
from tests.benchmarks.packaged_init import build_for_this_machine, measure_init

ROOT = packaging.ROOT
SECRET = "a-webhook-secret"
# Import names that differ from the names in a lock.
DISTRIBUTIONS = {"jwt": "pyjwt", "ruamel": "ruamel-yaml", "aws_lambda_powertools": "aws-lambda-powertools"}


@pytest.fixture(scope="session")
def assets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Asset]:
    """Everything, packaged as for a deployment."""
    return packaging.build_assets(tmp_path_factory.mktemp("build"))


def list_names(asset: Asset) -> list[str]:
    root = Path(asset.path)
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


def list_imports(path: Path) -> set[str]:
    """Returns the modules that a file imports when it runs, wherever in it."""
    tree = ast.parse(path.read_text("utf-8"))
    for block in [node for node in ast.walk(tree) if isinstance(node, ast.If)]:
        if isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            block.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def list_foreign(function: str) -> set[str]:
    """Returns the libraries that a function imports, by its handler and what bootstrap builds for it."""
    tree = ast.parse((ROOT / "shared/bootstrap.py").read_text("utf-8"))
    builders = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    chosen, todo = set(), [function]
    while todo:
        name = todo.pop()
        if name in builders and name not in chosen:
            chosen.add(name)
            todo += [node.id for node in ast.walk(builders[name]) if isinstance(node, ast.Name)]
    queue = [f"functions.{function}.handler"]
    for name in chosen:
        for node in ast.walk(builders[name]):
            if isinstance(node, ast.ImportFrom) and node.module:
                queue += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                queue += [alias.name for alias in node.names]
    if function == "migrate":
        queue.append("shared.sql.migrations.env")
    seen: set[str] = set()
    foreign: set[str] = set()
    while queue:
        module = queue.pop()
        if module in seen or module == "shared.bootstrap":
            continue
        seen.add(module)
        path = ROOT / (module.replace(".", "/") + ".py")
        if path.exists():
            queue += list_imports(path)
        elif module.partition(".")[0] not in {"shared", "functions", *sys.stdlib_module_names}:
            foreign.add(module.partition(".")[0])
    return foreign


def read_lock(path: Path) -> dict[str, str]:
    pinned = (line.partition(" ")[0].split("==") for line in path.read_text("utf-8").splitlines() if "==" in line)
    return {name.partition("[")[0]: version for name, version in (each for each in pinned if len(each) == 2)}


def test_the_code_is_what_functions_run(assets: dict[str, Asset]) -> None:
    names = {name for name in list_names(assets[CODE]) if not name.endswith(".pyc")}

    assert {name.split("/")[0] for name in names} == {"functions", "shared"}
    assert {f"functions/{name}/handler.py" for name in SHAPES} <= names
    assert "shared/workflows/defaults.yml" in names
    assert [name for name in names if name.startswith(("shared/local/", "shared/adapters/memory/"))] == []
    assert [name for name in names if name.startswith("shared/sql/") and name.endswith(".sql")]
    assert [name for name in names if name.startswith("shared/lua/") and name.endswith(".lua")]


def test_nothing_that_is_packaged_needs_what_is_left_out() -> None:
    imports = {path: list_imports(ROOT / path) for path in packaging.list_code() if path.suffix == ".py"}

    wrong = {
        path.as_posix(): name
        for path, names in imports.items()
        for name in names
        if name.startswith(("shared.local", "shared.adapters.memory", "tests", "infra"))
    }
    assert wrong == {}


def test_ingest_carries_what_it_imports_and_nothing_else(assets: dict[str, Asset]) -> None:
    names = {name for name in list_names(assets[INGEST]) if not name.endswith(".pyc")}

    assert names == {path.as_posix() for path in packaging.list_ingest_code()}
    assert "functions/ingest/handler.py" in names
    assert [name for name in names if "postgres" in name or "powertools" in name] == []


class QueueAndBucket(BaseHTTPRequestHandler):
    """Answers as SQS and S3 do, and notes what was asked."""

    asked: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self._answer(b'{"MessageId": "1"}')

    def do_PUT(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.asked.append((self.command, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def aws() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    asked: list[tuple[str, bytes]] = []
    handler = type("Noting", (QueueAndBucket,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def call_packaged_ingest(asset: Asset, endpoint: str, events: list[dict[str, Any]]) -> list[int]:
    """Returns the status of each answer of ingest, which sees its own package and the standard library alone."""
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from functions.ingest.handler import handle\n"
        "statuses = [handle(event, None)['statusCode'] for event in json.load(sys.stdin)]\n"
        "print(json.dumps(statuses))"
    )
    environment = {
        "DELIVERIES_QUEUE_URL": f"{endpoint}/queue",
        "BODIES_BUCKET": "bodies",
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, asset.path],
        input=json.dumps(events),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    statuses: list[int] = json.loads(answer.stdout.splitlines()[-1])
    return statuses


def make_event(body: str, *, secret: str = SECRET) -> dict[str, Any]:
    signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return {
        "pathParameters": {"source": "github"},
        "headers": {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": "5dd25a76-0000-4000-8000-000000000001",
            "x-hub-signature-256": f"sha256={signature}",
        },
        "body": body,
        "isBase64Encoded": False,
    }


def test_packaged_ingest_works_by_itself(assets: dict[str, Asset], aws: tuple[str, list[tuple[str, bytes]]]) -> None:
    endpoint, asked = aws
    push = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "octo/repo"}})
    large = json.dumps({"repository": {"full_name": "octo/repo"}, "noise": os.urandom(1_500_000).hex()})
    events = [make_event(push), make_event(push, secret="another"), make_event(large)]

    statuses = call_packaged_ingest(assets[INGEST], endpoint, events)

    assert statuses == [202, 401, 202]
    assert [command for command, _ in asked] == ["POST", "PUT", "POST"]


def test_every_function_finds_its_libraries_in_its_layer() -> None:
    missing = {}
    for function, shape in SHAPES.items():
        provided = set(read_lock(ROOT / "layers" / shape.layer / "requirements.txt")) if shape.layer else set()
        wanted = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in list_foreign(function)}
        if not wanted <= provided:
            missing[function] = wanted - provided

    assert missing == {}
    assert list_foreign("ingest") == set()
    assert {"psycopg", "httpx", "redis"} <= list_foreign("execute")


def test_every_function_starts_with_what_it_is_given_alone(assets: dict[str, Asset], tmp_path: Path) -> None:
    interpreter = packaging.find_interpreter() or sys.executable
    build_for_this_machine(Path(assets[CODE].path).parent, tmp_path, interpreter)

    for function in SHAPES:
        assert measure_init(function, tmp_path, interpreter) > 0


def test_layers_are_of_the_versions_that_the_tests_run() -> None:
    tested = read_lock(ROOT / "requirements-dev.txt")

    for layer in LAYERS:
        locked = read_lock(ROOT / "layers" / layer / "requirements.txt")
        assert locked
        assert {name: version for name, version in locked.items() if tested.get(name) != version} == {}


def test_layers_hold_no_more_than_is_run(assets: dict[str, Asset]) -> None:
    for layer in LAYERS:
        names = list_names(assets[layer])

        assert {name.split("/")[0] for name in names} == {"python"}
        tops = {name.split("/")[1] for name in names}
        assert tops.isdisjoint({"boto3", "botocore", "bin", "pytest"})
        assert [name for name in names if name.endswith((".pyi", ".pyx", "/RECORD"))] == []


def test_layers_are_built_for_lambda_s_processor(assets: dict[str, Asset]) -> None:
    libraries = [path for layer in LAYERS for path in Path(assets[layer].path).rglob("*.so*") if not path.is_symlink()]

    assert libraries
    # e_machine of the ELF header: 183 is AArch64. https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
    assert {int.from_bytes(path.read_bytes()[18:20], "little") for path in libraries} == {183}
    assert any("cpython-313-aarch64" in path.name for path in libraries)


def test_sizes_are_within_lambda_s_limits(assets: dict[str, Asset]) -> None:
    packaging.check_sizes(assets)

    assert assets[INGEST].size_bytes < packaging.MAX_INGEST_BYTES
    for layer in LAYERS:
        assert assets[CODE].size_bytes + assets[layer].size_bytes < packaging.MAX_UNZIPPED_BYTES


@pytest.mark.parametrize("name", [INGEST, LAYERS[0]])
def test_what_is_too_large_is_refused(name: str) -> None:
    sizes = dict.fromkeys((CODE, INGEST, *LAYERS), 1) | {name: packaging.MAX_UNZIPPED_BYTES}
    assets = {key: Asset(path="", hash="", size_bytes=size, has_bytecode=True) for key, size in sizes.items()}

    with pytest.raises(PackagingError, match=name):
        packaging.check_sizes(assets)


def test_the_same_input_has_the_same_hash(assets: dict[str, Asset], tmp_path: Path) -> None:
    packaging.copy_files(packaging.list_code(), tmp_path / CODE)
    packaging.copy_files(packaging.list_ingest_code(), tmp_path / INGEST)

    assert packaging.hash_files(tmp_path / CODE) == assets[CODE].hash
    assert packaging.hash_files(tmp_path / INGEST) == assets[INGEST].hash


def test_bytecode_does_not_change_a_hash_and_source_does(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("ANSWER = 42\n")
    before = packaging.hash_files(tmp_path)

    packaging.compile_bytecode(tmp_path, sys.executable)
    (bytecode,) = tmp_path.rglob("*.pyc")
    compiled = packaging.hash_files(tmp_path)
    module.write_text("ANSWER = 43\n")

    assert compiled == before
    assert packaging.hash_files(tmp_path) != before
    # Bits 0 and 1 of the flags: by hash, and not checked. https://peps.python.org/pep-0552/#specification
    assert bytecode.read_bytes()[4:8] == b"\x01\x00\x00\x00"


def test_a_name_that_runs_into_a_content_is_another_hash(tmp_path: Path) -> None:
    for folder, name, content in (("one", "ab", "c"), ("two", "a", "bc")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(content)

    assert packaging.hash_files(tmp_path / "one") != packaging.hash_files(tmp_path / "two")


def test_a_deployment_without_bytecode_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packaging, "find_interpreter", lambda: None)

    with pytest.raises(PackagingError, match=r"no Python 3\.13"):
        packaging.build_assets(tmp_path, require_bytecode=True)


def test_assets_that_are_not_built_are_missed_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="make synth"):
        packaging.read_assets(tmp_path)


def test_what_was_built_is_read_again(assets: dict[str, Asset]) -> None:
    assert packaging.read_assets(Path(assets[CODE].path).parent) == assets
