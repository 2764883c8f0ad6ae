"""What Redis decides in one step: scripts in ``.lua`` files."""

from importlib.resources import files


def read_script(name: str) -> str:
    """Returns a script's text."""
    return files(__name__).joinpath(f"{name}.lua").read_text("utf-8")
