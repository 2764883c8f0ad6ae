"""What a workflow file from outside says, whatever stands in it. The YAML library is loaded with the first one."""

from collections.abc import Iterator

from shared.domain.subject import storable
from shared.domain.workflow import Workflow
from shared.domain.workflow_file import FILE_PATH, Fault, Reading

# Beyond this a database writes numbers otherwise than we do.
MAX_FLOAT = 1e16


def read_text(text: str | None) -> Reading:
    """Returns the workflows in a file, or its faults. Never raises.

    Args:
        text: None when the file is no UTF-8 text of a readable size.
    """
    if text is None:
        return _refuse("expected a text file in UTF-8, found something else")
    # Most workers never read a file: 30 ms of cold start that they need not pay.
    from shared.adapters.workflow_files import read_workflow_file  # noqa: PLC0415

    try:
        workflows, found = read_workflow_file(text, FILE_PATH)
        faults = [Fault(fault.line, fault.message) for fault in found]
        faults += [fault for workflow in workflows if (fault := _find_unstorable(workflow, text)) is not None]
    except Exception as error:  # noqa: BLE001 - what no rule foresaw is the file's fault too, and must not stop others
        return _refuse(f"it cannot be read ({type(error).__name__}: {error}): simplify it")
    # In force as a whole or not at all: half of a file is something that nobody has written.
    return Reading(faults=tuple(faults)) if faults else Reading(workflows)


def _find_unstorable(workflow: Workflow, text: str) -> Fault | None:
    """Looks for what jsonb would refuse, or give back as something else, under another hash."""
    from shared.adapters.yaml_source import YamlSource  # noqa: PLC0415 - the YAML library, likewise

    value = next(_list_unstorable(workflow.model_dump(exclude_defaults=True)), None)
    if value is None:
        return None
    mend = "write it as a text" if isinstance(value, (int, float)) else "remove the NUL or half surrogate pair"
    line, _ = YamlSource(text, FILE_PATH).locate(("workflows", workflow.name), key=True)
    return Fault(line, f"workflows.{workflow.name}: the value {value!r} cannot be kept: {mend}")


def _list_unstorable(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _list_unstorable(name)
            yield from _list_unstorable(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _list_unstorable(each)
    elif isinstance(value, str):
        if storable(value) != value:
            yield value
    elif isinstance(value, float):
        # The database has one zero, and writes large numbers without an exponent.
        if not abs(value) < MAX_FLOAT or str(value) == "-0.0":
            yield value
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield value


def _refuse(message: str) -> Reading:
    return Reading(faults=(Fault(1, message),))
