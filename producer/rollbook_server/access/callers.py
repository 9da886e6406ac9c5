"""Decides who calls, and whether the caller may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from rollbook_server.access.keys import KeyKind, Keys, bearer_key
from rollbook_server.access.permissions import Permission
from rollbook_server.access.user_tokens import LEEWAY_SECONDS, InvalidToken, UserTokens
from rollbook_server.http.errors import ApiError

TOKEN_HEADER: Final = "x-knock-user-token"
_CHALLENGE: Final = {"www-authenticate": "Bearer"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who calls: a backend, or the browser of one user."""

    user_id: str | None = None
    """None: a backend, which may do everything."""
    permissions: frozenset[Permission] = frozenset()
    expires_at: int | None = None
    """When the user token ends to be valid, in seconds since 1970; None: never."""

    def check(self, permission: Permission | None, user_id: str | None) -> None:
        """Refuse what the caller may not do.

        permission: what the call needs; None: a secret key.
        user_id: the user in the path of the call; None if it has none.

        Raises:
            ApiError: 403.
        """
        if self.user_id is None:
            return
        if permission is None:
            raise ApiError(403, "incorrect_token_type", "this call needs a secret key")
        if permission not in self.permissions:
            raise ApiError(403, "permission_missing", f"the user token does not permit {permission}")
        if user_id is not None and user_id != self.user_id:
            raise ApiError(403, "invalid_user_token", "the user token is another user's")


NO_RIGHTS: Final = Caller(user_id="")
"""A caller who may do nothing: no user has an empty id."""


class Callers:
    """Finds out who calls by the headers of a request."""

    def __init__(self, keys: Keys, tokens: UserTokens | None) -> None:
        self._keys = keys
        self._tokens = tokens

    def of(self, connection: HTTPConnection) -> Caller:
        """Who calls.

        Raises:
            ApiError: 401, the key or the token is missing or not valid.
        """
        key = bearer_key(connection.headers.get("authorization"))
        return self.identify(key, connection.headers.get(TOKEN_HEADER))

    def of_query(self, connection: HTTPConnection) -> Caller:
        """Who calls by the query string, for browsers that cannot set headers; headers come first.

        Raises:
            ApiError: 401, see `of`.
        """
        query, headers = connection.query_params, connection.headers
        key = bearer_key(headers.get("authorization")) or query.get("api_key")
        return self.identify(key or None, headers.get(TOKEN_HEADER) or query.get("user_token"))

    def identify(self, key: str | None, token: str | None) -> Caller:
        """Who calls with this key and this user token.

        Raises:
            ApiError: 401, see `of`.
        """
        if key is None:
            raise ApiError(401, "api_key_missing", "a key is needed: Authorization: Bearer KEY", headers=_CHALLENGE)
        match self._keys.kind_of(key):
            case KeyKind.SECRET:
                return Caller()
            case KeyKind.PUBLIC:
                return self._user(token)
        raise ApiError(401, "authentication_required", "the key is not valid", headers=_CHALLENGE)

    def _user(self, token: str | None) -> Caller:
        if self._tokens is None:
            message = "the server has no ROLLBOOK_USER_TOKEN_PUBLIC_KEY, so it accepts no public keys"
            raise ApiError(401, "missing_jwt_signing_key", message)
        if not token:
            raise ApiError(401, "missing_user_token", "a public key needs a user token in X-Knock-User-Token")
        try:
            valid = self._tokens.verify(token)
        except InvalidToken as error:
            raise ApiError(401, "invalid_user_token", str(error)) from None
        return Caller(
            user_id=valid.user_id, permissions=valid.permissions, expires_at=valid.expires_at + LEEWAY_SECONDS
        )
