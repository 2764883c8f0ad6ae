"""Files of repositories' default branches: read as at GitHub, put there by the sandbox's own controls.

https://docs.github.com/rest/repos/contents
"""

import base64
import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_objects import Repository
from shared.local.sandbox.github_request import Name, State
from shared.local.sandbox.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE, path TEXT NOT NULL,
    content TEXT NOT NULL, PRIMARY KEY (owner, repo, path)
);
"""

router = APIRouter(dependencies=[Depends(require_user_agent)])
control = APIRouter()

_DOCS = "/repos/contents#get-repository-content"
# A larger file is given in the raw media type only.
_MOST_SHOWN_BYTES = 1_048_576


class FileStore:
    """The files, whatever bytes they hold."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, name: Repository, path: str, content: bytes) -> None:
        """Writes a file."""
        sql = "INSERT OR REPLACE INTO files (owner, repo, path, content) VALUES (?, ?, ?, ?)"
        self._store.change_rows(sql, (*name, path, base64.b64encode(content).decode()))

    def read(self, name: Repository, path: str) -> bytes | None:
        """Returns a file, or None."""
        sql = "SELECT content FROM files WHERE owner = ? AND repo = ? AND path = ?"
        row = self._store.read_row(sql, (*name, path))
        return None if row is None else base64.b64decode(row["content"])

    def delete(self, name: Repository, path: str) -> None:
        """Deletes a file; it may be gone already."""
        self._store.change_rows("DELETE FROM files WHERE owner = ? AND repo = ? AND path = ?", (*name, path))


async def _read_files(request: Request) -> FileStore:
    files: FileStore = request.app.state.files
    return files


Files = Annotated[FileStore, Depends(_read_files)]


@control.put("/_contents/{owner}/{repo}/{path:path}", status_code=204)
async def put_file(request: Request, name: Name, path: str, files: Files) -> None:
    """Puts a file onto the default branch: the request's body, as it is."""
    files.put(name, path, await request.body())


@control.delete("/_contents/{owner}/{repo}/{path:path}", status_code=204)
async def delete_file(name: Name, path: str, files: Files) -> None:
    """Takes a file from the default branch."""
    files.delete(name, path)


@router.get("/repos/{owner}/{repo}/contents/{path:path}")
async def get_contents(
    request: Request, name: Name, path: str, *, state: State, files: Files, _token: Token
) -> Response:
    """Shows a file of the default branch, unless the client has it already."""
    content = files.read(name, path)
    if content is None or "ref" in request.query_params:
        raise GitHubError(404, "Not Found", docs=_DOCS)
    sha = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    # GitHub's are weak, and of the answer rather than the file.
    headers = {"ETag": f'W/"{hashlib.sha256(sha.encode()).hexdigest()}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    is_shown = len(content) <= _MOST_SHOWN_BYTES
    full_name = f"{name.owner}/{name.repo}"
    url = f"{state.base_url}/repos/{full_name}/contents/{path}?ref=main"
    git_url = f"{state.base_url}/repos/{full_name}/git/blobs/{sha}"
    page = f"{state.base_url}/{full_name}/blob/main/{path}"
    document = {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "size": len(content),
        "url": url,
        "html_url": page,
        "git_url": git_url,
        "download_url": f"{state.base_url}/{full_name}/raw/main/{path}",
        "type": "file",
        "content": base64.encodebytes(content).decode() if is_shown else "",
        "encoding": "base64" if is_shown else "none",
        "_links": {"self": url, "git": git_url, "html": page},
    }
    return JsonAnswer(document, headers=headers)
