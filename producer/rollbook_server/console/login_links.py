"""Links that log in once. The page behind one asks to press a button, so that a preview does not use it up."""

from __future__ import annotations

from urllib.parse import quote

from rollbook_server.console.settings import PATH


def login_url(server_url: str, token: str) -> str:
    """The address of the page that logs in with the token.

    server_url: the address of the server, as browsers see it.
    """
    return f"{server_url.rstrip('/')}{PATH}/login/link?token={quote(token, safe='')}"
