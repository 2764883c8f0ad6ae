"""Tells a person at a terminal what the functions' logs say: one readable line an outcome."""

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PAUSE_SECONDS = 0.2


def tell(entry: dict[str, Any]) -> str | None:
    """Returns the line for a log entry, or None for one that needs no telling."""
    delivery, subject = str(entry.get("delivery_id", ""))[:8], entry.get("subject", "")
    what = f"{entry.get('event', '')}{'.' + entry['action'] if entry.get('action') else ''}"
    task = f"{entry.get('workflow', '')}/{entry.get('step', '')}"
    line = None
    match entry.get("message"):
        case "delivery.routed":
            matched = ", ".join(entry.get("matched") or []) or "no workflow matched"
            line = f"{delivery}  {what:<28} {subject}  -> {matched}"
        case "delivery.recognised":
            line = f"{delivery}  {what:<28} {subject}  known already"
        case "delivery.refused":
            line = f"refused   {entry.get('status')} {entry.get('reason')}"
        case "delivery.died" | "letter.buried" | "task.died":
            line = f"{delivery or 'dead    '}  dead: {entry.get('reason')}"
        case "task.succeeded" | "task.failed" | "task.dead" as message:
            line = f"{delivery}    {task} {message[5:]} {entry.get('effect_url') or entry.get('reason') or ''}"
        case "task.waited" if entry.get("effect_url"):
            line = f"{delivery}    {task} waits for {entry['effect_url']}"
        case "attempt.failed":
            line = f"{delivery}    {task} again in {entry.get('retry_in')} s: {entry.get('reason')}"
    return line


class Narrator:
    """Follows log files in a thread, from their present end, and hands each line worth telling to ``write``."""

    def __init__(self, logs: Iterable[Path], write: Callable[[str], None]) -> None:
        self._offsets = {path: path.stat().st_size if path.exists() else 0 for path in logs}
        self._write = write
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="narrator", daemon=True)

    def __enter__(self) -> "Narrator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            for path in self._offsets:
                for line in self._read(path):
                    told = _tell_line(line)
                    if told is not None:
                        self._write(told)

    def _read(self, path: Path) -> list[bytes]:
        if not path.exists():
            return []
        with path.open("rb") as log:
            log.seek(self._offsets[path])
            text = log.read()
        # A line that is still being written waits for its end.
        end = text.rfind(b"\n") + 1
        self._offsets[path] += end
        return text[:end].splitlines()


def _tell_line(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return tell(entry) if isinstance(entry, dict) else None
