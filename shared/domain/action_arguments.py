"""What each action takes and gives: the one list that checks, the JSON Schema and the documentation are made from."""

from collections.abc import Mapping
from typing import Any

from shared.domain.argument import ActionDeclaration, Argument, Output, is_absent, read_value, suggest
from shared.domain.errors import Permanent

_TEMPLATE_SIGNS = ("{{", "{%")

REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")
STATUS_STATES = ("error", "failure", "pending", "success")
REVIEW_EVENTS = ("approve", "request_changes", "comment")
CHECK_STATUSES = ("queued", "in_progress", "completed")
# `stale` is GitHub's own to give.
CHECK_CONCLUSIONS = ("success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required")
MERGE_METHODS = ("merge", "squash", "rebase")
CLOSE_REASONS = ("completed", "not_planned", "duplicate")
HTTP_METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")

_REPOSITORY = Argument("repository", "The repository, `owner/name`.", is_required=True, is_from_subject=True)
_NUMBER = Argument("number", "The issue's or pull request's number.", "number", is_required=True, is_from_subject=True)
_PULL_NUMBER = Argument("number", "The pull request's number.", "number", is_required=True, is_from_subject=True)
# An event about a comment names no commit: the pull request's head is asked for then.
_HEAD = Argument(
    "sha", "The head it must still have. Default: the event's, or else the present one.", is_from_subject=True
)
_COMMIT = Argument("sha", "The commit. Default: the event's, or else the pull request's head.", is_from_subject=True)
_ON_ISSUE = (_REPOSITORY, _NUMBER)
_ON_PULL = (_REPOSITORY, _PULL_NUMBER)
_BODY = Argument("body", "The text, GitHub Markdown; over 65,536 characters it is cut, and says so.", is_required=True)
_METHOD = Argument("method", "How it is merged. Default: `merge`.", choices=MERGE_METHODS)
_COMMENT_ID = Output("comment_id", "The comment's id.")
_LOOKS_FOR_MARK = "The effect's id is hidden in the text, and is looked for before a second write."

_AGENT_OUTPUTS = (
    Output("agent_run_id", "The agent run's id."),
    Output("result", "The agent's final text."),
    Output("summary", "A short text of what was done."),
    Output("pull_requests", "Addresses of the pull requests it opened, a list."),
)
_AGENT_ONCE = "The effect's id travels in the agent run's metadata, and is looked for before a second start."
_STARTED_SINCE = (
    "The workflow's dispatched runs are looked through before a second start; where several may be the one, the run "
    "ends as dead, for a person to decide."
)
_DISPATCH_ONCE = f"{_STARTED_SINCE} An event has no look-up: so does its unknown outcome."
_ABOUT_RUNS = (
    Argument("subject", "The subject, `owner/name#12`. Default: the event's."),
    Argument("run_id", "One run. Default: the subject's runs."),
)
_CARRIED_OUT = (
    Output("run_ids", "The runs, a list."),
    Output("count", "How many."),
)
_CONTROL_ONCE = "It changes our own records only, in one transaction."

ACTIONS: Mapping[str, ActionDeclaration] = {
    "github.comment": ActionDeclaration(
        "Comments on an issue or pull request.", (_BODY, *_ON_ISSUE), _LOOKS_FOR_MARK, (_COMMENT_ID,)
    ),
    "github.update_comment": ActionDeclaration(
        "Replaces the text of a comment of ours; with a `marker`, writes it where there is none yet.",
        (
            _BODY,
            Argument("comment_id", "The comment: `{{ steps.<id>.comment_id }}`.", "number"),
            Argument("marker", "A name of your own for one comment on the subject, such as `analysis`."),
            _REPOSITORY,
            Argument("number", "With a marker: the issue's or pull request's number.", "number", is_from_subject=True),
        ),
        f"{_LOOKS_FOR_MARK} The last text wins.",
        (_COMMENT_ID,),
        one_of=("comment_id", "marker"),
    ),
    "github.react": ActionDeclaration(
        "Reacts to an issue, a pull request or a comment.",
        (
            Argument("content", "The reaction.", is_required=True, choices=REACTIONS),
            Argument("comment_id", "The comment: `{{ comment.id }}`. Default: the issue or pull request.", "number"),
            *_ON_ISSUE,
        ),
        "GitHub keeps one reaction of each kind from each account.",
    ),
    "github.label": ActionDeclaration(
        "Adds labels to an issue or pull request; unknown ones are created.",
        (Argument("labels", "The labels' names.", "texts", is_required=True), *_ON_ISSUE),
        "A label is on an issue once; its labels are read before a second write.",
        (Output("labels", "All its labels, a list."),),
    ),
    "github.unlabel": ActionDeclaration(
        "Removes labels from an issue or pull request; one that is not there is removed already.",
        (Argument("labels", "The labels' names.", "texts", is_required=True), *_ON_ISSUE),
        "Only labels that are there are removed.",
        (Output("labels", "The labels that are left, a list."),),
    ),
    "github.assign": ActionDeclaration(
        "Assigns people to an issue or pull request.",
        (Argument("assignees", "Their logins, at most 10.", "texts", is_required=True), *_ON_ISSUE),
        "Who is assigned is assigned once; the assignees are read before a second write.",
        (Output("assignees", "All assignees, a list."),),
    ),
    "github.request_review": ActionDeclaration(
        "Asks people or teams to review a pull request.",
        (
            Argument("reviewers", "Logins of people.", "texts"),
            Argument("team_reviewers", "Slugs of teams of the organisation.", "texts"),
            *_ON_PULL,
        ),
        "Who is asked is asked once; the requested reviewers are read before a second write.",
        one_of=("reviewers", "team_reviewers"),
    ),
    "github.review": ActionDeclaration(
        "Reviews a pull request.",
        (
            Argument("event", "The verdict.", is_required=True, choices=REVIEW_EVENTS),
            Argument("body", "The text, GitHub Markdown; needed unless it approves."),
            Argument(
                "sha", "The commit that is reviewed. Default: the event's, or else the head.", is_from_subject=True
            ),
            *_ON_PULL,
        ),
        _LOOKS_FOR_MARK,
        (Output("review_id", "The review's id."),),
    ),
    "github.check_run": ActionDeclaration(
        "Creates a check run on a commit; needs a GitHub App.",
        (
            Argument("name", "The check's name.", is_required=True),
            Argument("conclusion", "How it ended; needed when completed.", choices=CHECK_CONCLUSIONS),
            Argument(
                "status",
                "Default: `completed` with a conclusion, `in_progress` without.",
                choices=CHECK_STATUSES,
            ),
            Argument("title", "The report's title. Default: the name."),
            Argument("summary", "The report, GitHub Markdown; over 65,535 characters it is cut, and says so."),
            Argument("text", "The report's details, likewise."),
            Argument("details_url", "A page with more."),
            _COMMIT,
            _REPOSITORY,
        ),
        "The effect's id is the check run's `external_id`, and is looked for before a second write.",
        (Output("check_run_id", "The check run's id."),),
    ),
    "github.status": ActionDeclaration(
        "Sets a commit status.",
        (
            Argument("state", "The state.", is_required=True, choices=STATUS_STATES),
            Argument("context", "What it is the status of. Default: `webhook-orchestrator`."),
            Argument("description", "A short text; over 140 characters it is cut."),
            Argument("target_url", "A page with more."),
            _COMMIT,
            _REPOSITORY,
        ),
        "The last status of a context counts; the same one is not written twice.",
    ),
    "github.merge": ActionDeclaration(
        "Merges a pull request, at the commit the event was about.",
        (
            _METHOD,
            _HEAD,
            Argument("commit_title", "The merge commit's first line."),
            Argument("commit_message", "The merge commit's text."),
            *_ON_PULL,
        ),
        "A pull request is merged once; whether it is, is read before a second write.",
    ),
    "github.auto_merge": ActionDeclaration(
        "Has GitHub merge a pull request once its requirements are met; one that meets them is merged at once.",
        (_METHOD, _HEAD, *_ON_PULL),
        "Auto-merge is on or off; which, is read before a second write.",
        (Output("is_merged", "Whether it was merged at once."),),
    ),
    "github.update_branch": ActionDeclaration(
        "Merges the base branch into a pull request's branch.",
        (_HEAD, *_ON_PULL),
        "GitHub refuses it for a head that has moved on, so one head is updated once.",
        (Output("is_updated", "Whether there was anything to update."),),
    ),
    "github.close": ActionDeclaration(
        "Closes an issue or pull request.",
        (
            Argument("state_reason", "Why; for issues only. Default: GitHub's.", choices=CLOSE_REASONS),
            *_ON_ISSUE,
        ),
        "What is closed stays so; its state is read before a second write.",
    ),
    "github.create_issue": ActionDeclaration(
        "Opens an issue.",
        (
            Argument("title", "Its title; over 256 characters it is cut.", is_required=True),
            Argument("body", "Its text, GitHub Markdown."),
            Argument("labels", "The labels' names.", "texts"),
            Argument("assignees", "Logins of people.", "texts"),
            _REPOSITORY,
        ),
        _LOOKS_FOR_MARK,
        (Output("number", "The issue's number."),),
    ),
    "github.changed_files": ActionDeclaration(
        "Reads which files a pull request changes.",
        _ON_PULL,
        "It only reads.",
        (
            Output("paths", "Their paths, a list; a renamed file is in it under both names."),
            Output("count", "How many files."),
            Output("is_truncated", "Whether there are more than the 3,000 that GitHub lists."),
        ),
    ),
    "github.dispatch": ActionDeclaration(
        "Starts GitHub Actions workflows: by an event of the repository, or one workflow by its name.",
        (
            Argument("event_type", "The event's name, for `on: repository_dispatch`; 1 to 100 characters."),
            Argument("client_payload", "With it: at most 10 keys, 64 KB.", "object"),
            Argument("workflow", "The workflow's file name or id, for `on: workflow_dispatch`."),
            Argument("ref", "With it: the branch or tag. Default: the default branch."),
            Argument("inputs", "With it: at most 25 texts.", "object"),
            _REPOSITORY,
        ),
        _DISPATCH_ONCE,
        one_of=("event_type", "workflow"),
    ),
    "github.rerun_failed": ActionDeclaration(
        "Runs the failed jobs of a GitHub Actions run again.",
        (Argument("run_id", "The GitHub Actions run's id. Default: the event's.", "number"), _REPOSITORY),
        "A run that was started again has a higher attempt number, which is read before a second write.",
    ),
    "codegen.run": ActionDeclaration(
        "Starts a Codegen agent run, and waits for its end.",
        (
            Argument("prompt", "What it is to do.", is_required=True),
            Argument("model", "The model. Default: the organisation's."),
            Argument("repo_id", "Codegen's id of the repository. Default: the organisation's.", "number"),
        ),
        _AGENT_ONCE,
        _AGENT_OUTPUTS,
    ),
    "codegen.resume": ActionDeclaration(
        "Gives a Codegen agent run a further prompt, and waits for its end.",
        (
            Argument("agent_run_id", "The run: `{{ steps.<id>.agent_run_id }}`.", "number", is_required=True),
            Argument("prompt", "What it is to do now.", is_required=True),
        ),
        "How the run stands is noted before: a run that stands otherwise afterwards was resumed; of one that stands as "
        "before nobody knows, and our run ends as dead, for a person to decide.",
        _AGENT_OUTPUTS,
    ),
    "actions.run": ActionDeclaration(
        "Starts a GitHub Actions workflow as an agent, and waits for its end.",
        (
            Argument("workflow", "The workflow's file name or id.", is_required=True),
            Argument("ref", "The branch or tag. Default: the default branch."),
            Argument("inputs", "At most 25 texts.", "object"),
            _REPOSITORY,
        ),
        _STARTED_SINCE,
        _AGENT_OUTPUTS,
    ),
    "approval.wait": ActionDeclaration(
        "Waits until somebody with write access approves: by `/approve`, a button or the API.",
        (
            Argument("message", "What is to be approved."),
            Argument(
                "ask",
                "Where the question is put. Default: `comment` on an issue or pull request, otherwise `none`. "
                "`check_run` shows a button, and needs a GitHub App.",
                choices=("comment", "check_run", "none"),
            ),
        ),
        "The question is an effect like any other, and is looked for before it is put again.",
    ),
    "http.request": ActionDeclaration(
        "Sends an HTTPS request to a host on the allow-list.",
        (
            Argument("url", "Its address, `https://`.", is_required=True),
            Argument("method", "Default: `POST`.", choices=HTTP_METHODS),
            Argument("body", "What is sent: JSON, or a text as it is.", "json"),
            Argument("headers", "Further headers; credentials have no place here.", "object"),
            Argument("idempotent", "The other side may be asked twice. Default: true, but for POST and PATCH.", "flag"),
        ),
        "The header `Idempotency-Key` is the effect's id; without `idempotent`, an unknown outcome ends the run as "
        "dead, for a person to decide.",
        (
            Output("status_code", "The answer's HTTP status."),
            Output("body", "The answer's JSON, or its text; null when it is longer than 64 KB."),
        ),
    ),
    "orchestrator.retry": ActionDeclaration(
        "Runs once more what failed, died or was cancelled.", _ABOUT_RUNS, _CONTROL_ONCE, _CARRIED_OUT
    ),
    "orchestrator.cancel": ActionDeclaration(
        "Cancels what is unfinished, and the agents that work for it.", _ABOUT_RUNS, _CONTROL_ONCE, _CARRIED_OUT
    ),
    "orchestrator.approve": ActionDeclaration("Approves what waits for it.", _ABOUT_RUNS, _CONTROL_ONCE, _CARRIED_OUT),
    "orchestrator.explain": ActionDeclaration(
        "Tells why runs ran or did not.",
        _ABOUT_RUNS,
        "It only reads.",
        (Output("text", "What became of the latest deliveries, GitHub Markdown."),),
    ),
}


def find_faults(action: str, given: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong with a step's arguments before any template is rendered; empty when nothing is.

    Args:
        action: its name, ``github.label``; an unknown one is a fault.
        given: what stands below ``with``.
    """
    declared = ACTIONS.get(action)
    if declared is None:
        return [f"there is no action {action!r}{suggest(action, list(ACTIONS))}"]
    faults = _find_name_faults(action, declared, given)
    for name, value in given.items():
        argument = declared.find(name)
        is_template = isinstance(value, str) and any(sign in value for sign in _TEMPLATE_SIGNS)
        if argument is not None and not is_template and not is_absent(value):
            try:
                read_value(action, argument, value)
            except Permanent as fault:
                faults.append(str(fault))
    return faults


def read_arguments(action: str, given: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an action's arguments, rendered, each as its kind has it; absent ones are absent.

    Args:
        action: its name, one of ``ACTIONS``.
        given: the arguments.
        document: the delivery's; its ``subject`` fills in for ``repository``, ``number`` and ``sha``.

    Raises:
        Permanent: naming the argument, what was expected, and the nearest name.
    """
    declared = ACTIONS[action]
    for fault in _find_name_faults(action, declared, given):
        raise Permanent(fault)
    read = {}
    for argument in declared.arguments:
        value = given.get(argument.name)
        if is_absent(value) and argument.is_from_subject:
            value = document["subject"].get(argument.name)
        if not is_absent(value):
            read[argument.name] = read_value(action, argument, value)
        elif argument.is_required:
            subject = document["subject"]["key"]
            raise Permanent(f"{action} needs {argument.name!r}: the subject {subject} has none, so give it")
    return read


def _find_name_faults(action: str, declared: ActionDeclaration, given: Mapping[str, Any]) -> list[str]:
    known = [argument.name for argument in declared.arguments]
    faults = [f"{action} got an unknown argument {name!r}{suggest(name, known)}" for name in given if name not in known]
    faults += [
        f"{action} needs {argument.name!r}: {argument.description}"
        for argument in declared.arguments
        if argument.is_required and not argument.is_from_subject and is_absent(given.get(argument.name))
    ]
    if declared.one_of and all(is_absent(given.get(name)) for name in declared.one_of):
        faults.append(f"{action} needs {' or '.join(repr(name) for name in declared.one_of)}")
    return faults
