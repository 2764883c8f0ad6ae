"""Where GitHub's other doors are, seen from its REST API: github.com, GHE.com and a GitHub Enterprise Server.

https://docs.github.com/en/graphql/guides/forming-calls-with-graphql#the-graphql-endpoint
https://docs.github.com/en/enterprise-server@latest/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

_SERVER_PATH = "/api/v3"


def derive_graphql_url(api_url: str) -> str:
    """Returns the address of GraphQL: ``/graphql``, and ``/api/graphql`` on a server of one's own."""
    root = api_url.rstrip("/")
    if root.endswith(_SERVER_PATH):
        return root.removesuffix("/v3") + "/graphql"
    return f"{root}/graphql"


def derive_web_url(api_url: str) -> str:
    """Returns the address of the pages for people, without a slash at its end."""
    scheme, _, host = api_url.rstrip("/").removesuffix(_SERVER_PATH).partition("://")
    return f"{scheme}://{host.removeprefix('api.')}"
