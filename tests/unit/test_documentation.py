"""What the documents say is what the code does."""

import inspect
import re
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

from shared import config
from shared.adapters.template_language import MAX_ITEMS, MAX_TEXT_CHARACTERS, MAX_WORK
from shared.adapters.workflow_files import MAX_WORKFLOWS, read_sound_file
from shared.adapters.yaml_source import MAX_BYTES, MAX_VALUES
from shared.domain.pattern_operators import OPERATORS
from shared.domain.statuses import MOVES
from tests.support.reference import PAGE, build_tables, fill_page

ROOT = Path(__file__).parents[2]


def test_the_readme_draws_every_move_and_no_other() -> None:
    diagram = (ROOT / "README.md").read_text("utf-8").partition("stateDiagram-v2")[2].partition("```")[0]

    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", diagram, re.MULTILINE))

    assert drawn == {(before.value, after.value) for before, moves in MOVES.items() for after in moves}


def test_the_readme_s_workflow_is_one() -> None:
    example = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)

    assert example is not None
    assert [workflow.name for workflow in read_sound_file(example[1], "README.md")] == ["explain-red-tests"]


def test_env_example_has_every_setting() -> None:
    described = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    models = [model for _, model in inspect.getmembers(config, is_dataclass) if model.__module__ == config.__name__]

    declared = {each.metadata["name"] for model in models for each in fields(model)}

    assert declared
    assert declared <= described


def test_env_example_states_the_defaults() -> None:
    described = dict(re.findall(r"^([A-Z_]+)=(.+)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    given = config.read_config(
        config.ExecuteConfig,
        {
            **described,
            "DATABASE_URL": "postgresql://here/db",
            "REDIS_URL": "redis://here/0",
            "TASKS_QUEUE_URL": "http://here/q",
            "BODIES_BUCKET": "b",
        },
    )
    default = config.read_config(
        config.ExecuteConfig,
        {
            "DATABASE_URL": "postgresql://here/db",
            "REDIS_URL": "redis://here/0",
            "TASKS_QUEUE_URL": "http://here/q",
            "BODIES_BUCKET": "b",
        },
    )

    assert asdict(given) == asdict(default)


def test_the_reference_s_tables_are_the_code_s() -> None:
    page = PAGE.read_text("utf-8")
    # `python -m tests.support.reference` renews them.
    assert fill_page(page) == page
    assert set(re.findall(r"<!-- table: (\w+) -->", page)) == set(build_tables())
    assert all(f"`{name}`" in page.partition("## Patterns")[2].partition("## Templates")[0] for name in OPERATORS)


def test_the_reference_s_workflow_is_sound() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    assert example is not None
    assert len(read_sound_file(example[1], "workflows.md")) == 1


def test_the_reference_names_its_limits() -> None:
    page = PAGE.read_text("utf-8")
    for limit in (MAX_BYTES // 1024, MAX_VALUES, MAX_WORKFLOWS, MAX_TEXT_CHARACTERS, MAX_ITEMS, MAX_WORK):
        assert f"{limit:,}" in page
