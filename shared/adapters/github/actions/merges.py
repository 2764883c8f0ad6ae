"""Merging: a pull request now, a pull request once its requirements are met, the base into its branch."""

from typing import Any

import httpx

from shared.adapters.github.actions.action import GitHubAction, Json, name_subject
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.graphql import GraphqlRefusal, mutate
from shared.adapters.github.refusals import Refusal
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent, Transient

MERGEABLE_AFTER_SECONDS = 5.0
_NOT_MERGEABLE = {httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.CONFLICT}
# https://docs.github.com/en/graphql/reference/enums#mergestatestatus
_STATES = {
    "behind": "its branch is behind the base and must be updated first",
    "blocked": "a required review or check is missing",
    "dirty": "it conflicts with its base",
    "draft": "it is a draft",
    "unstable": "a check failed or is under way",
}
_ENABLE = """mutation($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { pullRequest { number autoMergeRequest { enabledAt mergeMethod } } }
}"""


class _AtHead(GitHubAction):
    """An action on a pull request as it was seen."""

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        return self._at_head(super().plan(arguments, document), document)


class Merge(_AtHead):
    """``github.merge``: merges a pull request, at the head that was seen and at no other.

    PUT /repos/{owner}/{repo}/pulls/{n}/merge, permission ``contents: write``.
    Idempotent because a pull request is merged once; one that is merged at that head is not merged again.
    https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request
    """

    kind = "github.merge"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether it is merged."""
        return _find_merged(effect.request, self._read_pull(effect.request))

    def write(self, effect: Effect) -> Written:
        """Merges it."""
        request = effect.request
        pull = self._read_pull(request)
        merged = _find_merged(request, pull)
        if merged is not None:
            return merged
        if pull["mergeable"] is None and pull["state"] == "open":
            # GitHub computes it when asked, and then knows a little later.
            raise Transient("github is still finding out whether it can be merged", MERGEABLE_AFTER_SECONDS)
        body = {"sha": request["sha"], "merge_method": request.get("method", "merge")}
        body |= {name: request[name] for name in ("commit_title", "commit_message") if name in request}
        try:
            self._ask("PUT", request, f"pulls/{request['number']}/merge", body)
        except Refusal as refusal:
            raise _explain(refusal, request, pull) from refusal
        return Written(name_subject(request), pull.get("html_url"))


def _find_merged(request: Json, pull: Json) -> Written | None:
    if pull["merged"] and pull["head"]["sha"] == request["sha"]:
        return Written(name_subject(request), pull.get("html_url"))
    return None


def _explain(refusal: Refusal, request: Json, pull: Json) -> Permanent | Transient:
    if refusal.status not in _NOT_MERGEABLE:
        return refusal
    if refusal.message.startswith("Base branch was modified"):
        return Transient(str(refusal), MERGEABLE_AFTER_SECONDS)
    if pull["head"]["sha"] != request["sha"] or refusal.status == httpx.codes.CONFLICT:
        why = f"its head is no longer {request['sha']}, which the event was about"
    elif pull["merged"] or pull["state"] != "open":
        why = "it is merged already" if pull["merged"] else "it is closed"
    else:
        why = _STATES.get(pull["mergeable_state"], f"its state is {pull['mergeable_state']}")
    return Permanent(f"{name_subject(request)} cannot be merged: {why} ({refusal})")


class AutoMerge(_AtHead):
    """``github.auto_merge``: has GitHub merge a pull request once its requirements are met.

    GraphQL ``enablePullRequestAutoMerge``, permissions ``contents: write`` and ``pull_requests: write``. A pull
    request that meets them already ("clean status") is merged at once, by ``github.merge``.
    Idempotent because auto-merge is on or off; whether it is on is looked for before a second write.
    https://docs.github.com/en/graphql/reference/mutations#enablepullrequestautomerge
    """

    kind = "github.auto_merge"

    def __init__(self, client: GitHubClient) -> None:
        super().__init__(client)
        self._merge = Merge(client)

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether auto-merge is on, or the pull request merged."""
        return self._find(effect.request, self._read_pull(effect.request))

    def write(self, effect: Effect) -> Written:
        """Turns auto-merge on."""
        request = effect.request
        pull = self._read_pull(request)
        found = self._find(request, pull)
        if found is not None:
            return found
        mutation_input = {
            "pullRequestId": pull["node_id"],
            "mergeMethod": request.get("method", "merge").upper(),
            "expectedHeadOid": request["sha"],
            "clientMutationId": effect.id,
        }
        try:
            mutate(self._client, self.kind, _ENABLE, mutation_input, repository=request["repository"])
        except GraphqlRefusal as refusal:
            if "clean status" in refusal.message:
                return _as_auto_merge(self._merge.write(effect), is_merged=True)
            if "unstable status" in refusal.message:
                raise Permanent(
                    f"{refusal} (nothing required is missing, so there is nothing to wait for)"
                ) from refusal
            raise
        return Written(name_subject(request), pull.get("html_url"), {"is_merged": False})

    def _find(self, request: Json, pull: Json) -> Written | None:
        merged = _find_merged(request, pull)
        if merged is not None:
            return _as_auto_merge(merged, is_merged=True)
        if pull["auto_merge"] is not None:
            return Written(name_subject(request), pull.get("html_url"), {"is_merged": False})
        return None


def _as_auto_merge(written: Written, *, is_merged: bool) -> Written:
    return Written(written.external_id, written.url, {"is_merged": is_merged})


class UpdateBranch(_AtHead):
    """``github.update_branch``: merges the base branch into a pull request's branch.

    PUT /repos/{owner}/{repo}/pulls/{n}/update-branch, permission ``pull_requests: write``, and for an App
    ``contents: write`` on the head's repository. GitHub answers 202 and does it a little later.
    Idempotent by ``expected_head_sha``: GitHub refuses a head that has moved on, so one head is updated once. A
    head that has moved on counts as updated: either it was, or a newer push has an event of its own.
    https://docs.github.com/en/rest/pulls/pulls#update-a-pull-request-branch
    """

    kind = "github.update_branch"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether the head has moved on."""
        pull = self._read_pull(effect.request)
        return None if pull["head"]["sha"] == effect.request["sha"] else self._written(effect, is_updated=True)

    def write(self, effect: Effect) -> Written:
        """Asks for the update."""
        body = {"expected_head_sha": effect.request["sha"]}
        try:
            self._ask("PUT", effect.request, f"pulls/{effect.request['number']}/update-branch", body)
        except Refusal as refusal:
            if refusal.status != httpx.codes.UNPROCESSABLE_ENTITY:
                raise
            is_current = "no new commits" in refusal.message.lower()
            if not is_current and self._read_pull(effect.request)["head"]["sha"] == effect.request["sha"]:
                raise
            return self._written(effect, is_updated=False)
        return self._written(effect, is_updated=True)

    def _written(self, effect: Effect, *, is_updated: bool) -> Written:
        return Written(name_subject(effect.request), self._page(effect.request), {"is_updated": is_updated})
