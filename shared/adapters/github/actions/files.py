"""What a pull request changes."""

from shared.adapters.github.actions.action import GitHubAction, name_subject
from shared.domain.effect import Effect, Written

# https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
MAX_FILES = 3000


class ChangedFiles(GitHubAction):
    """``github.changed_files``: reads which files a pull request changes.

    GET /repos/{owner}/{repo}/pulls/{n}/files, permission ``pull_requests: read`` or ``contents: read``.
    It writes nothing, so it may be repeated.
    https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
    """

    kind = "github.changed_files"

    def look_up(self, effect: Effect) -> Written | None:
        """Finds nothing: reading once more changes nothing."""
        return None

    def write(self, effect: Effect) -> Written:
        """Reads the files."""
        files = list(self._items(effect.request, f"pulls/{effect.request['number']}/files"))
        paths = [file[name] for file in files for name in ("filename", "previous_filename") if file.get(name)]
        outputs = {"paths": paths, "count": len(files), "is_truncated": len(files) >= MAX_FILES}
        return Written(name_subject(effect.request), self._page(effect.request), outputs)
