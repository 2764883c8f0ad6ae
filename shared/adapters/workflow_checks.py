"""What the model does not know: GitHub's events, the actions and their arguments, and what a template may name.

These are checks of a file, not of the model: a version that is stored stays readable when a list changes.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from shared.adapters.template_check import find_template_faults
from shared.adapters.template_language import TemplateLanguage
from shared.adapters.yaml_source import Path, YamlSource
from shared.domain.action_arguments import ACTIONS
from shared.domain.argument import KIND_WORDS, ActionDeclaration, is_absent, read_value
from shared.domain.command import COMMAND_EVENTS
from shared.domain.errors import Permanent
from shared.domain.events import COMMON_MEMBERS, EVENTS, FREE_ACTIONS
from shared.domain.pattern_operators import find_nearest, show_source, show_value
from shared.domain.shorthands import SHORTHAND_EVENTS
from shared.domain.trigger import list_triggers

OUTPUTS_OF_ALL: Final = ("url", "status", "error")


class _Scope(NamedTuple):
    """What a template may name: members of its context, the steps before with their outputs; and the later steps."""

    names: frozenset[str]
    steps: Mapping[str, Collection[str] | None]
    later: Collection[str] = ()


_OWN_NAMES: Final = frozenset({"subject", "delivery", "steps", "run"})
_language = cache(TemplateLanguage)


def check_workflow(source: YamlSource, base: Path, body: Mapping[str, Any]) -> None:
    """Notes the faults of one workflow, whatever stands in it."""
    events = _check_events(source, (*base, "on"), body.get("on"))
    names = _list_names(events)
    concurrency = body.get("concurrency")
    group = concurrency.get("group") if isinstance(concurrency, dict) else None
    if isinstance(group, str):
        _check_template(source, (*base, "concurrency", "group"), group, _Scope(names - {"steps"}, {}))
    steps = body.get("steps")
    if isinstance(steps, list):
        _check_steps(source, (*base, "steps"), steps, names)


def _check_events(source: YamlSource, path: Path, on: object) -> list[str]:
    triggers = list_triggers(on)
    if not isinstance(triggers, Mapping):
        return []
    for event, trigger in triggers.items():
        # What is written as a text or in a list stands there itself.
        place = (*path, event) if isinstance(on, dict) else (*path, on.index(event)) if isinstance(on, list) else path
        known = EVENTS.get(event)
        if known is None:
            expected = f"one of GitHub's {len(EVENTS)} webhook events"
            source.add(place, expected, show_value(event), find_nearest(event, EVENTS), key=isinstance(on, dict))
            continue
        for name, events in SHORTHAND_EVENTS.items():
            if isinstance(trigger, dict) and name in trigger and event not in events:
                source.add((*place, name), f"{name} only with {', '.join(sorted(events))}", event, key=True)
        actions = trigger.get("actions") if isinstance(trigger, dict) else None
        if actions is not None and event not in FREE_ACTIONS:
            _check_actions(source, (*place, "actions"), actions, event)
    return [event for event in triggers if event in EVENTS]


def _check_actions(source: YamlSource, path: Path, actions: object, event: str) -> None:
    known = EVENTS[event].actions
    if not known:
        source.add(path, f"no actions: {event} has none", show_source(actions), key=True)
        return
    for index, action in enumerate(actions if isinstance(actions, list) else [actions]):
        if isinstance(action, str) and action not in known:
            place = (*path, index) if isinstance(actions, list) else path
            source.add(place, f"one of {', '.join(known)}", show_value(action), find_nearest(action, known))


def _list_names(events: Collection[str]) -> frozenset[str]:
    """Returns what templates of a workflow on these events may name."""
    members = {member for event in events for member in EVENTS[event].members}
    command = {"command"} if COMMAND_EVENTS.intersection(events) else set()
    return frozenset(COMMON_MEMBERS | _OWN_NAMES | members | command)


def _check_steps(source: YamlSource, path: Path, steps: list[Any], names: frozenset[str]) -> None:
    known: dict[str, Collection[str] | None] = {}
    ids = [step.get("id") if isinstance(step, dict) else None for step in steps]
    for index, step in enumerate(steps):
        if not isinstance(step, dict):
            continue
        place, uses, name = (*path, index), step.get("uses"), ids[index]
        if name is not None and name in ids[:index]:
            source.add((*place, "id"), "an id of its own", f"{show_source(name)}, which an earlier step has")
        declared = ACTIONS.get(uses) if isinstance(uses, str) else None
        if isinstance(uses, str) and declared is None:
            expected = f"one of the actions {', '.join(ACTIONS)}"
            source.add((*place, "uses"), expected, show_value(uses), find_nearest(uses, ACTIONS))
        arguments = step.get("with") or {}
        if isinstance(arguments, dict):
            if declared is not None and isinstance(uses, str):
                _check_arguments(source, (*place, "with"), uses, declared, arguments)
            later = [str(each) for each in ids[index:] if each is not None]
            _check_texts(source, (*place, "with"), arguments, _Scope(names, known, later))
        outputs = None if declared is None else [*OUTPUTS_OF_ALL, *(output.name for output in declared.outputs)]
        known[name if isinstance(name, str) else str(index + 1)] = outputs


def _check_arguments(
    source: YamlSource, path: Path, uses: str, declared: ActionDeclaration, given: Mapping[str, Any]
) -> None:
    names = [argument.name for argument in declared.arguments]
    for name, value in given.items():
        argument = declared.find(name)
        if argument is None:
            expected = f"one of {uses}'s arguments {', '.join(names)}" if names else f"no arguments: {uses} takes none"
            source.add((*path, name), expected, show_value(name), find_nearest(name, names), key=True)
        elif not is_absent(value) and not (isinstance(value, str) and "{" in value):
            try:
                read_value(uses, argument, value)
            except Permanent:
                expected = f"one of {', '.join(argument.choices)}" if argument.choices else KIND_WORDS[argument.kind]
                source.add((*path, name), expected, show_source(value), find_nearest(value, argument.choices))
    for argument in declared.arguments:
        if argument.is_required and not argument.is_from_subject and is_absent(given.get(argument.name)):
            source.add((*path, argument.name), f"{uses}'s argument {argument.name}: {argument.description}", "nothing")
    if declared.one_of and all(is_absent(given.get(name)) for name in declared.one_of):
        source.add(path, f"one of {uses}'s arguments {', '.join(declared.one_of)}", "none of them")


def _check_texts(source: YamlSource, path: Path, value: object, scope: _Scope) -> None:
    if isinstance(value, str):
        _check_template(source, path, value, scope)
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_texts(source, (*path, name), each, scope)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _check_texts(source, (*path, index), each, scope)


def _check_template(source: YamlSource, path: Path, text: str, scope: _Scope) -> None:
    for fault in find_template_faults(_language(), text, *scope):
        source.add(path, fault.expected, fault.found, fault.suggestion, line=fault.line)
