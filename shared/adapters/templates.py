"""Templates of a step's arguments: Jinja2, sandboxed, and a missing name is an error that names it.

https://jinja.palletsprojects.com/en/stable/templates/
"""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Template, TemplateError

from shared.adapters.template_check import parse_template
from shared.adapters.template_language import MAX_TEXT_CHARACTERS, TemplateLanguage, TooMuch, Work, under_way
from shared.domain.errors import Permanent
from shared.domain.prompt import FENCE_NOTE, PROMPT, collect_ours

MAX_COMPILED: Final = 1_000

_FAULTS: Final = (
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
    SyntaxError,
)


class JinjaTemplates:
    """See ``shared.ports.Templates``."""

    def __init__(self) -> None:
        self._language = TemplateLanguage()
        self._compiled: dict[str, Template] = {}

    def render(self, arguments: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        """Renders every text in ``arguments``, however deep; what is filled into a ``prompt`` anywhere is fenced."""
        work = Work(list(context), collect_ours(context))

        def render(value: Any, place: str, *, is_prompt: bool) -> Any:  # noqa: ANN401 - JSON is anything
            if isinstance(value, str):
                work.is_prompt = is_prompt
                return self._render(value, context, place, work)
            if isinstance(value, dict):
                return {
                    name: render(each, f"{place}.{name}", is_prompt=is_prompt or name == PROMPT)
                    for name, each in value.items()
                }
            if isinstance(value, list):
                return [render(each, f"{place}[{index}]", is_prompt=is_prompt) for index, each in enumerate(value)]
            return value

        rendered: dict[str, Any] = render(dict(arguments), "with", is_prompt=False)
        return rendered

    def _render(self, text: str, context: Mapping[str, Any], place: str, work: Work) -> str:
        work.has_fence = False
        token = under_way.set(work)
        try:
            rendered = _collect(self._compile(text), context)
        except _FAULTS as error:
            raise Permanent(f"the template at {place} cannot be rendered: {error}") from error
        finally:
            under_way.reset(token)
        return f"{rendered.rstrip()}\n\n{FENCE_NOTE}\n" if work.has_fence else rendered

    def _compile(self, text: str) -> Template:
        template = self._compiled.get(text)
        if template is None:
            if len(self._compiled) >= MAX_COMPILED:
                self._compiled.clear()
            parsed = parse_template(self._language, text)
            code = self._language.compile(parsed)
            template = self._compiled[text] = Template.from_code(self._language, code, self._language.globals)
        return template


def _collect(template: Template, context: Mapping[str, Any]) -> str:
    parts, characters = [], 0
    # Not `render`: it would have the whole before anybody could count.
    for part in template.root_render_func(template.new_context(dict(context))):
        characters += len(part)
        if characters > MAX_TEXT_CHARACTERS:
            raise TooMuch(f"it renders to over {MAX_TEXT_CHARACTERS} characters")
        parts.append(part)
    return "".join(parts)
