"""The command ``orchestrator``: what it prints, and with what it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.cli.__main__ import main
from shared.domain.workflow_schema import build_schema

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "shared/local/samples"
DEFAULTS = str(ROOT / "shared/workflows/defaults.yml")
MIXED = """\
version: 1
workflows:
  good:
    on:
      pull_request:
        actions: [opened]
        branches: ["release/*"]
        match:
          $or: [{pull_request: {draft: [true]}}, {sender: {type: [User]}}]
    steps: [{uses: github.comment, with: {body: Hi}}]
  bad:
    on: pusch
    steps: [{uses: github.comment, with: {body: Hi}}]
"""
FAULT = (
    'mine.yml:12:9: workflows.bad.on: expected one of GitHub\'s 75 webhook events, found "pusch"; did you mean "push"?'
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    Path("mine.yml").write_text(MIXED, "utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["workflows", *arguments])


def test_check_tells_every_fault_of_every_file() -> None:
    done = run("check", "mine.yml", DEFAULTS)
    assert done.exit_code == 1
    assert done.stdout == (f"{FAULT}\nmine.yml: 1 sound workflow, 1 fault\n{DEFAULTS}: 9 sound workflows, 0 faults\n")
    assert run("check", DEFAULTS).exit_code == 0


def test_check_as_json() -> None:
    done = run("check", "mine.yml", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "mine.yml": {
            "workflows": ["good"],
            "faults": [
                {
                    "file": "mine.yml",
                    "line": 12,
                    "column": 9,
                    "path": "workflows.bad.on",
                    "expected": "one of GitHub's 75 webhook events",
                    "found": '"pusch"',
                    "suggestion": '"push"',
                }
            ],
        }
    }


def test_simulate_tells_clause_by_clause() -> None:
    done = run("simulate", "mine.yml", "--event", "pull_request", "--payload", str(SAMPLES / "pull_request.json"))
    assert done.stdout == (
        'good: not matched: branches is "master", wants "release/*"\n'
        '  yes  event is "pull_request", wants "pull_request"\n'
        '  yes  action is "opened", wants "opened"\n'
        '  no   branches is "master", wants "release/*"\n'
        "  no   $or[0]: pull_request.draft is false, wants true\n"
        '  yes  $or[1]: sender.type is "User", wants "User"\n'
    )
    # The others of the file are shown, its faults are told, and the exit code says that there are some.
    assert done.stderr == f"{FAULT}\n"
    assert done.exit_code == 1


def test_simulate_as_json() -> None:
    sample = str(SAMPLES / "push.json")
    done = run("simulate", DEFAULTS, "--event", "push", "--payload", sample, "--json")
    assert done.exit_code == 0
    verdicts = json.loads(done.stdout)
    assert set(verdicts["push_analysis"]) == {"matched", "because", "clauses"}
    assert verdicts["push_analysis"]["clauses"][1] == {
        "path": "subject.is_default_branch",
        "wants": "true",
        "seen": "true",
        "matched": True,
        "alternatives": [],
    }
    assert verdicts["slash_codegen"] == {
        "matched": False,
        "because": 'event is "push", wants "issue_comment"',
        "clauses": [
            {"path": "event", "wants": '"issue_comment"', "seen": '"push"', "matched": False, "alternatives": []}
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["check"], "Missing argument 'FILE...'"),
        (["check", "nobody.yml"], "does not exist"),
        (["simulate", DEFAULTS], "give either --event and --payload, or --delivery"),
        (["simulate", DEFAULTS, "--event", "push"], "give either --event and --payload, or --delivery"),
        (["simulate", DEFAULTS, "--delivery", "7"], "'7' is not a valid UUID"),
        (
            ["simulate", DEFAULTS, "--event", "pusch", "--payload", DEFAULTS],
            "GitHub has no event 'pusch'; did you mean",
        ),
        (["backtest", DEFAULTS, "--since", "soon"], "must be a duration such as 30m, 12h or 7d"),
        (["backtest", DEFAULTS, "--since", "99999d"], "must be a duration such as 30m, 12h or 7d"),
        (["explode"], "No such command"),
    ],
)
def test_wrong_use_exits_with_2(arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["simulate", DEFAULTS, "--event", "push", "--payload", DEFAULTS],
            "Error: the body is not JSON at character 0",
        ),
        (["backtest", DEFAULTS], "Error: settings to mend: DATABASE_URL is not set"),
        (["simulate", DEFAULTS, "--delivery", "5dd25a76-0c5b-4c59-9d5b-5dd25a765dd2"], "DATABASE_URL is not set"),
    ],
)
def test_what_cannot_be_had_exits_with_1(arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, told in done.stderr) == (1, True), done.stderr


def test_schema_prints_the_schema() -> None:
    assert json.loads(run("schema").stdout) == build_schema()


@pytest.mark.parametrize("arguments", [[], ["check"], ["simulate"], ["backtest"], ["schema"]])
def test_every_command_has_help(arguments: list[str]) -> None:
    done = run(*arguments, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")


def test_it_runs_as_a_module_and_needs_no_aws() -> None:
    program = "import sys; sys.argv[1:] = ['workflows', 'check', sys.argv[1]]; import shared.cli.__main__ as cli\n"
    program += "try: cli.main()\nfinally: print(sorted({'boto3', 'botocore', 'psycopg', 'httpx'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program, DEFAULTS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
