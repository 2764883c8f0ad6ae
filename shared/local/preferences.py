"""What the user of a laptop has set: the environment, then ``.env``, then what an earlier start made up."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

# Made when unset, and kept in STATE_DIR, so that a hook or a client that was set up yesterday works today.
_MADE_UP = ("GITHUB_WEBHOOK_SECRET", "API_TOKEN")


def read_preferences(environ: Mapping[str, str] = os.environ, env_file: Path = Path(".env")) -> dict[str, str]:
    """Returns every setting that is not empty; the environment goes before ``.env``."""
    written = {name: value for name, value in dotenv_values(env_file).items() if value}
    return {**written, **{name: value for name, value in environ.items() if value}}


def find_state_dir(preferences: Mapping[str, str]) -> Path:
    """Returns where data, logs and addresses are kept."""
    return Path(preferences.get("STATE_DIR", ".local")).absolute()


def complete_preferences(preferences: dict[str, str], state_dir: Path) -> dict[str, str]:
    """Returns the settings with those that had to be made up; the state directory exists."""
    kept_path = state_dir / "made-up.json"
    kept: dict[str, str] = json.loads(kept_path.read_text("utf-8")) if kept_path.exists() else {}
    for name in _MADE_UP:
        if name not in preferences and name not in kept:
            kept[name] = secrets.token_urlsafe(24)
    kept_path.touch(mode=0o600)
    kept_path.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    return {**{name: kept[name] for name in _MADE_UP if name in kept}, **preferences}
