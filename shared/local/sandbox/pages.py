"""The pages that the sandbox's links lead to, for a person in a browser."""

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.responses import HTMLResponse

_LAYOUT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
article { border: 1px solid #8888; border-radius: 6px; padding: .5rem 1rem; margin: 1rem 0; }
article:target { outline: 2px solid #4078c0; }
header, small { opacity: .75; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
</style>
</head>
<body>
<p><small>{{ service }} sandbox on this machine: nothing here was sent anywhere.</small></p>
<h1>{{ title }}</h1>
{% block content %}{% endblock %}
</body>
</html>
"""

_SUBJECT = """{% extends "layout" %}{% block content %}
{% macro list_reactions(rows) -%}
{% if rows %}<p>Reactions: {{ rows | map(attribute="content") | join(", ") }}</p>{% endif %}
{%- endmacro %}
<p><b>{{ subject.title }}</b>:
{%- if subject.merged_at %} merged at <time>{{ subject.merged_at }}</time>
{%- elif subject.closed_at %} closed at <time>{{ subject.closed_at }}</time>
{%- if subject.state_reason %} as {{ subject.state_reason }}{% endif %}
{%- else %} open{% if subject.auto_merge %}, auto-merge is on ({{ subject.auto_merge }}){% endif %}
{%- endif %}</p>
{% for word, names in (("Labels", subject.labels), ("Assignees", subject.assignees),
                       ("Reviewers", subject.reviewers), ("Teams", subject.teams)) if names %}
<p>{{ word }}: {{ names | join(", ") }}</p>
{% endfor %}
{% if subject.body %}<article><pre>{{ subject.body }}</pre></article>{% endif %}
{{ list_reactions(subject_reactions) }}
{% for review in reviews %}
<article id="pullrequestreview-{{ review.id }}">
<header><b>{{ review.user.login }}</b> reviewed {{ review.commit_id }} at <time>{{ review.submitted_at }}</time>:
{{ review.state }}</header>
<pre>{{ review.body }}</pre>
</article>
{% endfor %}
{% for comment in comments %}
<article id="issuecomment-{{ comment.id }}">
<header><b>{{ comment.user.login }}</b> commented at <time>{{ comment.created_at }}</time>
{%- if comment.updated_at != comment.created_at %}, edited at <time>{{ comment.updated_at }}</time>{% endif %}
</header>
<pre>{{ comment.body }}</pre>
{{ list_reactions(reactions[comment.id]) }}
</article>
{% else %}<p>No comments yet.</p>
{% endfor %}
{% endblock %}
"""

_COMMIT = """{% extends "layout" %}{% block content %}
{% macro link(address) -%}
{% if (address or "").startswith(("http://", "https://")) %}
<a href="{{ address }}" rel="noreferrer">Details</a>
{% endif %}
{%- endmacro %}
{% for run in check_runs %}
<article id="check-run-{{ run.id }}">
<header><b>{{ run.name }}</b>: {{ run.conclusion or run.status }} at <time>{{ run.started_at }}</time></header>
<pre>{{ run.output.title or "" }}
{{ run.output.summary or "" }}
{{ run.output.text or "" }}</pre>
{{ link(run.details_url) }}
</article>
{% endfor %}
{% for status in statuses %}
<article>
<header><b>{{ status.context }}</b>: {{ status.state }} at <time>{{ status.created_at }}</time></header>
<pre>{{ status.description or "" }}</pre>
{{ link(status.target_url) }}
</article>
{% else %}<p>No statuses yet.</p>
{% endfor %}
{% endblock %}
"""

_RUN = """{% extends "layout" %}{% block content %}
<p>Status <b>{{ run.status }}</b>, created at <time>{{ run.created_at }}</time>
in organization {{ run.organization_id }}.</p>
<h2>Prompt</h2>
<article><pre>{{ prompt }}</pre></article>
<h2>Result</h2>
<article><pre>{{ run.result or "None yet." }}</pre></article>
<h2>Metadata</h2>
<article><pre>{{ run.metadata | tojson(indent=2) }}</pre></article>
{% endblock %}
"""

_WORKFLOW_RUN = """{% extends "layout" %}{% block content %}
<p>Status <b>{{ run.conclusion or run.status }}</b>, attempt {{ run.run_attempt }} of {{ run.path }} on
{{ run.head_branch }}, created at <time>{{ run.created_at }}</time>.</p>
<h2>Inputs</h2>
<article><pre>{{ inputs | tojson(indent=2) }}</pre></article>
{% endblock %}
"""

_templates = Environment(
    loader=DictLoader(
        {
            "layout": _LAYOUT,
            "subject": _SUBJECT,
            "commit": _COMMIT,
            "run": _RUN,
            "workflow_run": _WORKFLOW_RUN,
        }
    ),
    autoescape=True,
    undefined=StrictUndefined,
)


def show_page(template: str, **values: object) -> HTMLResponse:
    """Returns a page: ``subject``, ``commit``, ``run`` or ``workflow_run``; everything in it is escaped."""
    text = _templates.get_template(template).render(**values)
    return HTMLResponse(
        # Text from outside may hold what UTF-8 cannot carry.
        text.encode("utf-8", "replace"),
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )
