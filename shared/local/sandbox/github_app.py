"""The operations of a GitHub App: itself, its installations and their tokens.

https://docs.github.com/rest/apps
"""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import TOKEN_SECONDS, Issuer, issue_token, require_user_agent
from shared.local.sandbox.github_objects import (
    ACCOUNT,
    BEGINNING,
    PERMISSIONS,
    Json,
    build_app_object,
    build_installation,
    build_repository,
    build_user,
    derive_id,
)
from shared.local.sandbox.github_request import Name, Number, Paging, State, read_document
from shared.local.sandbox.github_state import GitHubState
from shared.local.sandbox.store import format_time

router = APIRouter(dependencies=[Depends(require_user_agent)])


@router.get("/app")
async def get_app(state: State, issuer: Issuer) -> Response:
    """Shows the App whose JWT it is."""
    return JsonAnswer(build_app_object(state.base_url, issuer))


@router.get("/app/installations")
async def list_installations(request: Request, state: State, _issuer: Issuer) -> Response:
    """Lists an installation for the sandbox's own account and each one that was written to."""
    paging = Paging(request)
    accounts = _list_accounts(state)
    shown = accounts[paging.offset : paging.offset + paging.per_page]
    installations = [_list_installation(state.base_url, account) for account in shown]
    return JsonAnswer(installations, headers=paging.list_headers(state.base_url, len(accounts)))


@router.get("/app/installations/{installation_id}")
async def get_installation(installation_id: Number, state: State, _issuer: Issuer) -> Response:
    """Shows an installation; any number is one."""
    account = _find_account(state, installation_id)
    return JsonAnswer(build_installation(state.base_url, installation_id, account))


@router.get("/repos/{owner}/{repo}/installation")
async def get_repository_installation(name: Name, state: State, _issuer: Issuer) -> Response:
    """Shows the installation on a repository's account: the same one for all its repositories."""
    return JsonAnswer(build_installation(state.base_url, derive_id(name.owner), name.owner))


@router.post("/app/installations/{installation_id}/access_tokens")
async def create_access_token(request: Request, installation_id: Number, state: State, _issuer: Issuer) -> Response:
    """Issues a token for an hour, narrowed as asked."""
    wishes = await read_document(request)
    names = wishes.get("repositories")
    selected = names is not None or wishes.get("repository_ids") is not None
    token: dict[str, object] = {
        "token": issue_token(installation_id),
        "expires_at": format_time(datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)),
        "permissions": wishes.get("permissions") or PERMISSIONS,
        "repository_selection": "selected" if selected else "all",
    }
    if isinstance(names, list):
        account = _find_account(state, installation_id)
        token["repositories"] = [build_repository(state.base_url, account, str(name)) for name in names]
    return JsonAnswer(token, 201)


def _list_installation(base_url: str, account: str) -> Json:
    installation = build_installation(base_url, derive_id(account), account)
    shown = build_user(base_url, account, "Organization")
    # In a list, GitHub's document wants an account to have the fields of an enterprise too ("allOf").
    enterprise = {"name": account, "slug": account, "created_at": BEGINNING, "updated_at": BEGINNING}
    return installation | {"account": shown | enterprise}


def _list_accounts(state: GitHubState) -> list[str]:
    owners = [owner for owner in state.list_owners() if owner.lower() != ACCOUNT]
    return [ACCOUNT, *owners]


def _find_account(state: GitHubState, installation_id: int) -> str:
    known = {derive_id(account): account for account in _list_accounts(state)}
    return known.get(installation_id, f"account-{installation_id}")
