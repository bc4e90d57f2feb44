"""The server's tokens and their roles."""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

# Viewers watch; operators also change what everyone sees.
Role = Literal["operator", "viewer"]


class Tokens:
    """Checks tokens. Without tokens, every visitor is an operator."""

    def __init__(self, *, operator: str, viewer: str = "") -> None:
        """Stores digests of the tokens; an empty token is never accepted."""
        self.required = bool(operator)
        given: dict[Role, str] = {"operator": operator, "viewer": viewer}
        self._digests: dict[Role, bytes] = {
            role: _digest(token) for role, token in given.items() if token
        }

    def role_of(self, given: str) -> Role | None:
        """Returns the role of a token, None if it is not valid.

        Costs one SHA-256 and takes as long for any text of the same length.
        """
        digest = _digest(given)
        found: Role | None = None
        for role, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = role
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
