"""What became of deliveries, told in Markdown to whoever asks why something happened or did not."""

from collections.abc import Mapping, Sequence
from typing import Any

MAX_REASON_CHARACTERS = 200
# A zero-width space keeps an at-sign from calling somebody; without its ampersand `&#64;` is none.
_ESCAPES = str.maketrans(
    {"@": "@\u200b", "&": "&amp;", "<": "&lt;", ">": "&gt;", **{sign: f"\\{sign}" for sign in "\\`*_[]|~"}}
)


def explain(subject: str, deliveries: Sequence[Mapping[str, Any]]) -> str:
    """Returns a table of every workflow's answer to each delivery, and of what its run came to.

    Args:
        subject: whose deliveries they are.
        deliveries: as the API shows them, newest first.
    """
    if not deliveries:
        return f"Nothing is known of {_plain(subject)}."
    lines = [
        f"What became of the latest events of {_plain(subject)}:",
        "",
        "| event | workflow | verdict | run |",
        "|---|---|---|---|",
    ]
    for delivery in deliveries:
        event = ".".join(name for name in (delivery["event"], delivery["action"]) if name)
        event = f"{_plain(event)}<br>`{delivery['delivery_id']}`"
        if delivery["status"] == "dead":
            lines.append(f"| {event} | - | dead: {_plain(delivery['reason'])} | - |")
        runs = {run["workflow"]: run for run in delivery["runs"]}
        concerned = [each for each in delivery["verdicts"] if each["matched"] or not _is_other_event(each)]
        for verdict in concerned:
            run = runs.get(verdict["workflow"])
            verdict_text = "matched" if verdict["matched"] else _plain(verdict["because"])
            lines.append(f"| {event} | {_plain(verdict['workflow'])} | {verdict_text} | {_tell_run(run)} |")
        if not concerned and delivery["status"] != "dead":
            lines.append(f"| {event} | - | no workflow is about this event | - |")
    return "\n".join(lines)


def _is_other_event(verdict: Mapping[str, Any]) -> bool:
    return str(verdict["because"]).startswith("event is ")


def _tell_run(run: Mapping[str, Any] | None) -> str:
    if run is None:
        return "-"
    told = f"{run['status']}" if run["reason"] is None else f"{run['status']}: {_plain(run['reason'])}"
    links = [task["outputs"]["url"] for task in run["tasks"] if (task["outputs"] or {}).get("url")]
    return "<br>".join([told, *(f"[{number}]({url})" for number, url in enumerate(links, start=1))])


def _plain(text: object) -> str:
    """Returns text from outside as a cell of the table shows it: no markup, no mention, no break."""
    return " ".join(str(text).split())[:MAX_REASON_CHARACTERS].translate(_ESCAPES)
