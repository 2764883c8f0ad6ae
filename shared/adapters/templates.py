"""Templates of a step's arguments: Jinja2, sandboxed, and a missing name is an error that names it.

https://jinja.palletsprojects.com/en/stable/sandbox/
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.domain.errors import Permanent
from shared.domain.prompt import fence

MAX_RENDERED_CHARACTERS = 200_000


class JinjaTemplates:
    """See ``shared.ports.Templates``."""

    def __init__(self) -> None:
        # Nothing is escaped: what is written is Markdown and prompts, never HTML of ours.
        self._environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        self._environment.filters["fence"] = fence
        self._compiled: dict[str, Template] = {}

    def render(self, arguments: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        """Renders every text in ``arguments``, however deep."""
        return {name: self._render(value, context, f"with.{name}") for name, value in arguments.items()}

    def _render(self, value: Any, context: Mapping[str, Any], place: str) -> Any:  # noqa: ANN401 - JSON is anything
        if isinstance(value, str):
            return self._render_text(value, context, place)
        if isinstance(value, dict):
            return {name: self._render(each, context, f"{place}.{name}") for name, each in value.items()}
        if isinstance(value, list):
            return [self._render(each, context, f"{place}[{index}]") for index, each in enumerate(value)]
        return value

    def _render_text(self, text: str, context: Mapping[str, Any], place: str) -> str:
        try:
            template = self._compiled.get(text)
            if template is None:
                template = self._compiled[text] = self._environment.from_string(text)
            rendered = template.render(context)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise Permanent(f"the template at {place} cannot be rendered: {error}") from error
        if len(rendered) > MAX_RENDERED_CHARACTERS:
            raise Permanent(f"the template at {place} renders to over {MAX_RENDERED_CHARACTERS} characters")
        return rendered
