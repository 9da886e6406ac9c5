"""User tokens: JWTs, signed with RS256 by the application's backend, that name the user of a browser."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rollbook_server.access.permissions import Permission
from rollbook_shared.errors import NotConfigured

_ALGORITHM: Final = "RS256"
LEEWAY_SECONDS: Final = 30
"""How far the clocks of the signer and of this machine may differ."""
_RESOURCE: Final = re.compile(r"/v1/users/([^/]+)\Z")
"""The end of a grant's URI; its host is always the vendor's."""


class InvalidToken(Exception):
    """The token is not valid. The text says why, and quotes nothing of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UserToken:
    """A valid token."""

    user_id: str
    permissions: frozenset[Permission]
    expires_at: int
    """In seconds since 1970."""


class UserTokens:
    """Verifies user tokens with the public half of the key that signs them."""

    def __init__(self, public_key: str) -> None:
        """Prepare to verify.

        public_key: PEM, or PEM as base64.

        Raises:
            NotConfigured: it is no RSA public key.
        """
        self._key = _parse_public_key(public_key)

    def verify(self, token: str) -> UserToken:
        """What the token says.

        Raises:
            InvalidToken: it was not signed with this key, has expired, or names no user.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                leeway=LEEWAY_SECONDS,
                options={"require": ["sub", "exp"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("the user token has expired") from None
        except jwt.PyJWTError:
            raise InvalidToken("the user token is not valid") from None
        user_id = claims["sub"]
        return UserToken(user_id=user_id, permissions=_permissions(claims, user_id), expires_at=int(claims["exp"]))


def _permissions(claims: Mapping[str, Any], user_id: str) -> frozenset[Permission]:
    """All of them, unless the token restricts itself by `explicit_grants`."""
    if claims.get("explicit_grants") is not True:
        return frozenset(Permission)
    grants = claims.get("grants")
    names: set[str] = set()
    if isinstance(grants, Mapping):
        for resource, permissions in grants.items():
            found = _RESOURCE.search(str(resource))
            if found and found[1] == user_id and isinstance(permissions, Mapping):
                names.update(map(str, permissions))
    return frozenset(permission for permission in Permission if permission in names)


def _parse_public_key(text: str) -> RSAPublicKey:
    pem = text.strip().replace("\\n", "\n")
    try:
        if not pem.startswith("-----BEGIN"):
            pem = base64.b64decode(pem, validate=True).decode("ascii")
        key = load_pem_public_key(pem.encode("ascii"))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, RSAPublicKey):
        raise NotConfigured("ROLLBOOK_USER_TOKEN_PUBLIC_KEY must be an RSA public key in PEM, or that as base64")
    return key
