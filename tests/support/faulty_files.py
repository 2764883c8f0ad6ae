"""Workflow files that cannot be used, one for each kind of fault."""

from shared.adapters.yaml_source import MAX_BYTES

HEAD = "version: 1\nworkflows:\n  greet:\n"
GOOD = HEAD + "    on: {issues: {}}\n    steps: [{uses: github.comment, with: {body: Hi}}]\n"
STEPS = "    steps: [{uses: github.comment, with: {body: Hi}}]\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)

FAULTS = {
    "empty": "",
    "nothing but a comment": "# nothing\n",
    "no mapping": "- version: 1\n",
    "a text": "hello",
    "no YAML": "version: 1\nworkflows: {greet: [}\n",
    "tab": "version: 1\nworkflows:\n\tgreet: {}\n",
    "an unknown tag": GOOD + "    x: !!python/object:os.system {}\n",
    "a bomb": "version: 1\n" + BOMB,
    "a key twice": GOOD + GOOD.partition("workflows:\n")[2],
    "an undefined alias": HEAD + "    on: *nowhere\n",
    "two documents": f"{GOOD}---\n{GOOD}",
    "no version": GOOD.replace("version: 1\n", ""),
    "another version": GOOD.replace("version: 1", "version: 2"),
    "no workflows": "version: 1\n",
    "workflows that are none": "version: 1\nworkflows: [greet]\n",
    "no workflow in it": "version: 1\nworkflows: {}\n",
    "a workflow that is none": "version: 1\nworkflows: {greet: hello}\n",
    "a name that is none": GOOD.replace("greet", "Greet Everybody"),
    "no on": HEAD + STEPS,
    "no event": HEAD + "    on: {}\n" + STEPS,
    "no steps": HEAD + "    on: {issues: {}}\n",
    "an empty list of steps": HEAD + "    on: {issues: {}}\n    steps: []\n",
    "an unknown key": GOOD + "    unless: never\n",
    "an unknown key in a step": GOOD.replace("uses:", "use:"),
    "a wrong when": GOOD.replace("{uses", "{when: perhaps, uses"),
    "a wrong duration": GOOD.replace("{uses", "{timeout: soon, uses"),
    "too many attempts": GOOD.replace("{uses", "{retry: {max_attempts: 99}, uses"),
    "an unknown operator": GOOD.replace("issues: {}", "issues: {match: {a: [{like: x}]}}"),
    "an id twice": GOOD.replace("[{uses: github.comment, with: {body: Hi}}]", "[{id: a, uses: b}, {id: a, uses: b}]"),
    "a wrong guard": GOOD + "    guard: {trust: nobody}\n",
    "a debounce that is too long": GOOD + "    debounce: 2h\n",
    "a NUL": GOOD.replace("body: Hi", 'body: "a\\0b"'),
    "half a surrogate pair": GOOD.replace("body: Hi", 'body: "\\ud800"'),
    "a number the database writes otherwise": GOOD.replace("issues: {}", "issues: {match: {a: [1.0e+30]}}"),
    "a minus zero": GOOD.replace("issues: {}", "issues: {match: {a: [-0.0]}}"),
    "no number": GOOD.replace("issues: {}", "issues: {match: {a: [.nan]}}"),
    "an endless number": GOOD.replace("issues: {}", "issues: {match: {a: [.inf]}}"),
    "a whole number without end": GOOD.replace("issues: {}", "issues: {match: {a: [" + "9" * 30 + "]}}"),
    "a number nobody reads": GOOD.replace("issues: {}", "issues: {match: {a: [" + "9" * 5000 + "]}}"),
    "deep brackets": "version: 1\nworkflows: " + "[" * 5000,
    "a control character": GOOD.replace("Hi", "\x07"),
    "too many workflows": "version: 1\nworkflows:\n"
    + "".join(f"  greet-{number}: {{on: {{issues: {{}}}}, steps: [{{uses: a}}]}}\n" for number in range(201)),
    "too long": GOOD + "#" * MAX_BYTES,
}
