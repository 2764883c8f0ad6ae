"""Workflow files: every fault at once, each with its place and its mend, and none that stops the others."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.workflow_files import (
    WorkflowFile,
    WorkflowFileError,
    read_default_workflows,
    read_sound_file,
    read_workflow_file,
)
from shared.adapters.yaml_source import MAX_BYTES
from shared.domain.fault import Fault
from shared.domain.workflow import judge

GOOD = """\
  good:
    on: push
    steps:
      - {uses: github.status, with: {state: success}}
"""


def read(text: str) -> WorkflowFile:
    return read_workflow_file(text, "mine.yml")


def read_one(body: str) -> WorkflowFile:
    """Reads a file whose first workflow begins in line 3, with a good one behind it."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return read(f"version: 1\nworkflows:\n  fix:\n{indented}{GOOD}")


STEPS = "steps:\n  - uses: github.comment\n    with: {body: Hi}\n"

# What stands below `fix:` (from line 4), then the fault: line, key path, expected (a part), found, suggestion.
FAULTS: list[tuple[str, int, str, str, str, str]] = [
    # keys
    (f"on: push\n{STEPS}stpes: []", 8, "stpes", "one of enabled, on, guard,", '"stpes"', '"steps"'),
    (f"name: other\non: push\n{STEPS}", 4, "name", "one of enabled, on", '"name"', ""),
    (STEPS, 3, "on", "the key 'on'", "nothing", ""),
    ("on: push", 3, "steps", "the key 'steps'", "nothing", ""),
    (f"on: push\n{STEPS}on: push", 8, "on", "every key once", '"on" again, after line 4', ""),
    (f"on: push\n{STEPS}    use: c", 8, "steps[0].use", "one of id, uses, with", '"use"', '"uses"'),
    # events and actions
    (f"on: pull_requst\n{STEPS}", 4, "on", "one of GitHub's 75 webhook events", '"pull_requst"', '"pull_request"'),
    (f"on: [push, isues]\n{STEPS}", 4, "on[1]", "webhook events", '"isues"', '"issues"'),
    (f"on:\n  chekc_run: {{}}\n{STEPS}", 5, "on.chekc_run", "webhook events", '"chekc_run"', '"check_run"'),
    (f"on: {{}}\n{STEPS}", 4, "on", "at least 1", "an empty object", ""),
    (f"on: 7\n{STEPS}", 4, "on", "a mapping", "7", ""),
    (
        f"on:\n  issues:\n    actions: [opened, close]\n{STEPS}",
        6,
        "on.issues.actions[1]",
        "one of assigned, closed",
        '"close"',
        '"closed"',
    ),
    (f"on:\n  issues: {{actions: opend}}\n{STEPS}", 5, "on.issues.actions", "one of", '"opend"', '"opened"'),
    (f"on:\n  push: {{actions: [x]}}\n{STEPS}", 5, "on.push.actions", "no actions: push has none", "a list", ""),
    # shorthands
    (
        f"on:\n  push: {{branch: main}}\n{STEPS}",
        5,
        "on.push.branch",
        "one of actions, branches",
        '"branch"',
        '"branches"',
    ),
    (f"on:\n  issues: {{paths: a}}\n{STEPS}", 5, "on.issues.paths", "paths only with pull_request", "issues", ""),
    (f"on:\n  push: {{commands: a}}\n{STEPS}", 5, "on.push.commands", "commands only with commit_", "push", ""),
    (
        f"on:\n  push:\n    branches:\n      - main\n      - a++\n{STEPS}",
        8,
        "on.push.branches[1]",
        "a filter pattern of GitHub Actions",
        '"a++"',
        "",
    ),
    (
        f"on:\n  issue_comment: {{commands: [/fix]}}\n{STEPS}",
        5,
        "on.issue_comment.commands[0]",
        "a command's name without the slash",
        '"/fix"',
        '"fix"',
    ),
    (f"on:\n  issues: {{labels: []}}\n{STEPS}", 5, "on.issues.labels", "at least 1", "an empty list", ""),
    (f"on:\n  push: {{authors: [1]}}\n{STEPS}", 5, "on.push.authors[0]", "a text", "1", ""),
    # patterns
    (
        f"on:\n  push:\n    match:\n      ref: main\n{STEPS}",
        7,
        "on.push.match.ref",
        "a list of values or an object",
        '"main"',
        '["main"]',
    ),
    (
        f"on:\n  push:\n    match:\n      sender:\n        a.b: [x, {{prefx: y}}]\n{STEPS}",
        8,
        "on.push.match.sender.a.b[1]",
        "one of the operators prefix",
        '"prefx"',
        '"prefix"',
    ),
    (f"on:\n  push: {{match: [x]}}\n{STEPS}", 5, "on.push.match", "a mapping", "a list", ""),
    (
        f"on:\n  push:\n    match: {{a: [{{numeric: ['>', x]}}]}}\n{STEPS}",
        6,
        "on.push.match.a[0].numeric",
        "a number",
        '"x"',
        "",
    ),
    # the rest of a workflow
    (f"on: push\ndebounce: soon\n{STEPS}", 5, "debounce", "a duration such as 30s", '"soon"', ""),
    (f"on: push\ndebounce: 16m\n{STEPS}", 5, "debounce", "less than or equal to 900", '"16m"', ""),
    (f"on: push\nenabled: maybe\n{STEPS}", 5, "enabled", "true or false", '"maybe"', ""),
    (f"on: push\nguard: {{trust: writ}}\n{STEPS}", 5, "guard.trust", "one of write, anyone", '"writ"', '"write"'),
    (
        f"on: push\nguard:\n  max_agent_runs:\n    per_days: 3\n{STEPS}",
        7,
        "guard.max_agent_runs.per_days",
        "one of per_subject",
        '"per_days"',
        '"per_day"',
    ),
    (
        f"on: push\nconcurrency: {{on_conflict: cancle}}\n{STEPS}",
        5,
        "concurrency.on_conflict",
        "one of cancel, queue, skip, once",
        '"cancle"',
        '"cancel"',
    ),
    (
        f"on: push\nconcurrency: {{group: '{{{{ refs }}}}'}}\n{STEPS}",
        5,
        "concurrency.group",
        "one of action, after",
        '"refs"',
        '"ref"',
    ),
    ("on: push\nsteps: []", 5, "steps", "at least 1", "an empty list", ""),
    ("on: push\nsteps: 7", 5, "steps", "a list", "7", ""),
    ("on: push\nsteps: [github.comment]", 5, "steps[0]", "a mapping", '"github.comment"', ""),
    # steps
    ("on: push\nsteps:\n  - with: {body: x}", 6, "steps[0].uses", "the key 'uses'", "nothing", ""),
    (
        "on: push\nsteps:\n  - uses: github.coment",
        6,
        "steps[0].uses",
        "one of the actions",
        '"github.coment"',
        '"github.comment"',
    ),
    (
        "on: push\nsteps:\n  - uses: github.comment\n    with: {bodi: x, body: y}",
        7,
        "steps[0].with.bodi",
        "one of github.comment's arguments body",
        '"bodi"',
        '"body"',
    ),
    ("on: push\nsteps:\n  - uses: github.comment", 6, "steps[0].with.body", "argument body: The", "nothing", ""),
    (
        "on: push\nsteps:\n  - uses: github.status\n    with: {state: sucess}",
        7,
        "steps[0].with.state",
        "one of error, failure",
        '"sucess"',
        '"success"',
    ),
    (
        "on: push\nsteps:\n  - uses: github.request_review",
        6,
        "steps[0].with",
        "one of github.request_review's arguments reviewers, team_reviewers",
        "none of them",
        "",
    ),
    (f"on: push\n{STEPS}    when: fail", 8, "steps[0].when", "one of success, failure", '"fail"', '"failure"'),
    (f"on: push\n{STEPS}    timeout: 8d", 8, "steps[0].timeout", "less than or equal to 604800", '"8d"', ""),
    (f"on: push\n{STEPS}    retry: {{max_attempts: 0}}", 8, "steps[0].retry.max_attempts", "greater", "0", ""),
    (f"on: push\n{STEPS}    id: Ä", 8, "steps[0].id", "a name: lower-case", r'"\u00c4"', ""),
    (
        f"on: push\n{STEPS}    id: a\n  - uses: github.comment\n    with: {{body: Hi}}\n    id: a",
        11,
        "steps[1].id",
        "an id of its own",
        '"a", which an earlier step has',
        "",
    ),
    # templates
    (
        "on: push\nsteps:\n  - uses: github.comment\n    with:\n      body: |\n        A\n\n        {{ steps.fx.url }}",
        11,
        "steps[0].with.body",
        "a step before this one: there is none",
        'no step "fx"',
        "",
    ),
    (
        f"on: push\n{STEPS}    id: fix\n  - uses: github.comment\n    with: {{body: '{{{{ steps.fxi.url }}}}'}}",
        10,
        "steps[1].with.body",
        "a step before this one: fix",
        'no step "fxi"',
        '"fix"',
    ),
    (
        f"on: push\nsteps:\n  - uses: github.comment\n    with: {{body: '{{{{ steps.b }}}}'}}\n{STEPS[7:]}    id: b",
        7,
        "steps[0].with.body",
        "a step before this one",
        'the later step "b"',
        "",
    ),
    (
        f"on: push\n{STEPS}    id: a\n  - uses: github.comment\n    with: {{body: '{{{{ steps.a.urll }}}}'}}",
        10,
        "steps[1].with.body",
        "one of the outputs url, status, error, comment_id",
        '"urll"',
        '"url"',
    ),
    (
        "on: push\nsteps:\n  - uses: github.comment\n    with: {body: '{{ repo.name }} {{ repositry.name }}'}",
        7,
        "steps[0].with.body",
        "one of action, after, base_ref",
        '"repo"',
        "",
    ),
    (
        "on: push\nsteps:\n  - uses: github.comment\n    with: {body: '{{ ref | uper }}'}",
        7,
        "steps[0].with.body",
        "one of the filters",
        '"uper"',
        '"upper"',
    ),
    (
        "on: push\nsteps:\n  - uses: github.comment\n    with:\n      body: |\n        Hi\n        {{ ref",
        10,
        "steps[0].with.body",
        "a template",
        "unexpected end of template",
        "",
    ),
    (
        "on: push\nsteps:\n  - uses: github.comment\n    with: {body: '{% include \"x\" %}'}",
        7,
        "steps[0].with.body",
        "text, {{ ... }}, if, for",
        "Jinja2's include",
        "",
    ),
    # YAML
    (f"on: push\n{STEPS}    timeout: !!python/name:os.system x", 8, "steps[0].timeout", "plain YAML", "the tag", ""),
    (f"on: push\n{STEPS}    7: x", 8, "steps[0].7", "a text as the key, in quotes", "7", '"7"'),
    (f"on: push\n{STEPS}    timeout: .inf", 8, "steps[0].timeout", "a finite number", ".inf", ""),
    (f"on: push\n{STEPS}    timeout: {'9' * 5_000}", 8, "steps[0].timeout", "a value", "999", ""),
]


@pytest.mark.parametrize(("body", "line", "path", "expected", "found", "suggestion"), FAULTS)
def test_a_fault_has_its_place_and_its_mend(  # noqa: PLR0917 - the columns of the table
    body: str, line: int, path: str, expected: str, found: str, suggestion: str
) -> None:
    result = read_one(body)
    fault = result.faults[0]
    assert (fault.file, fault.line, fault.path, fault.suggestion) == (
        "mine.yml",
        line,
        f"workflows.fix.{path}",
        suggestion,
    )
    assert expected in fault.expected
    assert fault.found.startswith(found)
    assert fault.column >= 1
    # The other workflow of the file is in force.
    assert [workflow.name for workflow in result.workflows] == ["good"]


def test_there_are_many_kinds_of_fault() -> None:
    assert len(FAULTS) > 50


# Of these files nothing can be used, and they say where and why.
@pytest.mark.parametrize(
    ("content", "line", "column", "expected", "found"),
    [
        ("", 1, 1, "a mapping that begins with 'version: 1'", "nothing"),
        ("- version: 1", 1, 1, "a mapping that begins", "a list"),
        ("version: 2\nworkflows: {}", 1, 10, "'version: 1'", "2"),
        ("version: true\nworkflows: {}", 1, 10, "'version: 1'", "true"),
        ("workflows: {}", 1, 1, "'version: 1'", "nothing"),
        ("version: 1", 1, 1, "a mapping of names to workflows", "nothing"),
        ("version: 1\nworkflows: []", 2, 12, "a mapping of names to workflows", "an empty list"),
        ("version: 1\nworkflows: {}", 2, 12, "a mapping of names to workflows", "an empty object"),
        ("version: 1\nworkflows:\n" + "".join(f"  w{n}: {{}}\n" for n in range(201)), 3, 3, "at most 200", "201"),
        ("a: [", 1, 5, "YAML", "expected the node content"),
        ("version: 1\nworkflows:\n\tfix: {}", 3, 1, "YAML", "found character '\\t'"),
        ("version: 1\n--- \nversion: 1", 2, 1, "YAML", "but found another document"),
        ("version: 1\nx: *nobody", 2, 4, "YAML", "found undefined alias"),
        ("version: 1\nx: \x07", 2, 4, "text", "the character U+0007"),
        ("version: 1\nx: \ud800", 2, 4, "UTF-8", "the byte 0xED"),
        (b"version: 1\nx: caf\xe9", 2, 7, "UTF-8", "the byte 0xE9"),
        ("version: 1".encode("utf-16"), 1, 1, "UTF-8", "the byte 0xFF"),
        ("#" * (MAX_BYTES + 1), 1, 1, f"a file of at most {MAX_BYTES} bytes", f"{MAX_BYTES + 1} bytes"),
        ("[" * 5_000, 1, 1, "at most 100 levels", "more"),
        ("a: " * 1 + "[" * 150 + "]" * 150, 1, 104, "at most 100 levels", "more"),
    ],
)
def test_an_unusable_file_says_where(content: str | bytes, line: int, column: int, expected: str, found: str) -> None:
    result = read_workflow_file(content, "mine.yml")
    [fault] = result.faults
    assert (fault.line, fault.column) == (line, column)
    assert fault.expected.startswith(expected)
    assert fault.found.startswith(found)
    assert result.workflows == ()


def test_unfolding_aliases_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    spent = time.process_time()
    [fault] = read("\n".join(lines)).faults
    assert fault.expected == "at most 20000 values, aliases unfolded"
    [fault] = read("a: &a {x: *a}").faults
    assert fault.expected == "at most 100 levels, aliases unfolded"
    assert time.process_time() - spent < 5


def test_aliases_may_be_used() -> None:
    result = read(
        "version: 1\nworkflows:\n  a:\n    on: &on {push: {branches: [main]}}\n    steps: &steps\n"
        "      - {uses: github.status, with: {state: success}}\n  b:\n    on: *on\n    steps: *steps\n"
    )
    assert result.faults == ()
    assert [(workflow.name, list(workflow.on)) for workflow in result.workflows] == [("a", ["push"]), ("b", ["push"])]


def test_every_fault_of_a_file_is_told_in_its_order() -> None:
    result = read(
        f"version: 1\nextra: x\nworkflows:\n  a:\n    on: pusch\n    steps: [{{uses: x.y, wiht: z}}]\n{GOOD}"
        "  Bad: {on: push, steps: [{uses: github.comment, with: {body: Hi}}]}\n  c: 7\n"
    )
    assert [(fault.line, fault.path) for fault in result.faults] == [
        (2, "extra"),
        (5, "workflows.a.on"),
        (6, "workflows.a.steps[0].uses"),
        (6, "workflows.a.steps[0].wiht"),
        (11, "workflows.Bad"),
        (12, "workflows.c"),
    ]
    assert [workflow.name for workflow in result.workflows] == ["good"]


def test_a_fault_reads_as_a_sentence() -> None:
    fault = Fault("mine.yml", 7, 5, "workflows.a.on", "one of x, y", '"z"', '"x"')
    assert str(fault) == 'mine.yml:7:5: workflows.a.on: expected one of x, y, found "z"; did you mean "x"?'
    assert str(Fault("mine.yml", 1, 1, "", "YAML", "nothing")) == "mine.yml:1:1: expected YAML, found nothing"


def test_a_name_that_may_be_missing_is_no_fault() -> None:
    result = read_one(
        "on: push\nsteps:\n  - uses: github.comment\n    with:\n"
        "      body: \"{% set x = 1 %}{{ x }} {{ brand_new | default('none') }} "
        '{% if other is defined %}{{ other.x }}{% endif %}{% for c in commits %}{{ loop.index }}{{ c.id }}{% endfor %}"'
    )
    assert result.faults == ()


def test_the_shorthands_of_on() -> None:
    for on in ("push", "[push, create]", "{push: , create: {}}"):
        result = read_one(f"on: {on}\n{STEPS}")
        assert result.faults == ()
        assert "push" in result.workflows[0].on


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault() -> None:
    result = read_workflow_file(f"\ufeffversion: 1\r\nworkflows:\r\n{GOOD}".encode(), "mine.yml")
    assert result.faults == ()
    assert len(result.workflows) == 1


def test_a_file_that_must_be_sound_raises_with_every_fault() -> None:
    with pytest.raises(WorkflowFileError, match=re.escape("mine.yml:2:1: extra: expected")) as refused:
        read_sound_file("version: 1\nextra: x\nworkflows:\n  c: 7", "mine.yml")
    assert str(refused.value).count("mine.yml:") == 2


def test_to_be_off_is_enough() -> None:
    result = read("version: 1\nworkflows:\n  push_analysis: {enabled: false}\n")
    assert result.faults == ()
    [workflow] = result.workflows
    verdict = judge(workflow, "ping", None, {})
    assert (verdict.matched, verdict.because) == (False, "the workflow is switched off: enabled is false")


def test_the_shipped_workflows_are_sound() -> None:
    assert {workflow.name for workflow in read_default_workflows()} == {
        "pull_request_analysis",
        "check_failure_analysis",
        "check_suite_failure_analysis",
        "push_analysis",
        "slash_codegen",
        "slash_retry",
        "slash_cancel",
        "slash_approve",
        "slash_explain",
    }


# Few words, so that they meet what the language knows.
VOCABULARY = """
on steps uses with when id push pull_request issue_comment match actions branches commands github.comment body prefix
$or numeric guard trust concurrency group debounce retry timeout 30s {{ {{steps.a.b}} {{x|y}} / name
"""
WORDS = st.sampled_from(VOCABULARY.split())
PLAIN = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | WORDS | st.text(max_size=5)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=15
)


@given(st.dictionaries(WORDS | st.just("fix"), ANYTHING, max_size=3), st.dictionaries(WORDS, ANYTHING, max_size=5))
def test_whatever_stands_in_a_file_is_answered(workflows: dict[str, object], body: dict[str, object]) -> None:
    content = {"version": 1, "workflows": {**workflows, "fix": {"on": "push", "steps": [{"with": body}], **body}}}
    result = read(json.dumps(content))
    assert result.faults
    assert all(fault.line >= 1 and fault.expected and fault.found for fault in result.faults)
    assert all(str(fault).startswith("mine.yml:") for fault in result.faults)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_whatever_a_file_is_it_is_answered(content: str | bytes) -> None:
    assert read_workflow_file(content, "mine.yml").faults
