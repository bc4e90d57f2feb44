"""Authenticates requests by a token, a session's cookie or a signed address, and checks roles."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from server.access.attempts import Attempts
from server.access.keys import ATTEMPTS, SESSIONS, SIGNATURES, TOKENS
from server.access.refusal import ApiError
from server.access.sessions import Session
from server.access.tokens import Role, Tokens
from server.access.visitors import SESSION, own_path, session_cookie, visible_path, visitor

SIGNATURE = "signature"  # the query's key in signed addresses

# Paths without a token: the login, the files of its page, and the health checks.
_OPEN = frozenset({"/login", "/healthz", "/readyz"})
_OPEN_BELOW = "/static/"
# What viewers may send although it is not a GET, because it changes nothing that others see.
_HARMLESS = frozenset({"/login", "/logout", "/api/score"})
_SENDS_IMAGES = "/ws/camera"  # a GET, but a visitor's images replace a camera's

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Access:
    """The role of a request and the session that grants it; None for a token."""

    role: Role
    session: Session | None = None


_ACCESS = web.RequestKey("access", Access)


@web.middleware
async def token_holders_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Requires a token in a header, a session's cookie or a signed address, and the right role.

    A wrong token counts against its address; a valid token, cookie or signature is accepted whatever
    others at that address do.
    """
    path = own_path(request)
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return await handler(request)
    access = request[_ACCESS] = _access(request)
    if access.role != "operator" and _changes_what_others_see(request):
        raise ApiError(
            403, "operators_only", "viewers may only watch; log in with the operators' token"
        )
    if access.session is None:
        return await handler(request)
    request[SESSION] = access.session.name
    with access.session.answering(request.transport):
        return await handler(request)


def role(request: web.Request) -> Role:
    """Returns the role of a request's visitor."""
    return request[_ACCESS].role


def is_signed_in(request: web.Request) -> bool:
    """Whether a session grants a request, which `end_session` can end."""
    return request[_ACCESS].session is not None


def end_session(request: web.Request) -> None:
    """Ends the session of a request and its other open responses."""
    session = request[_ACCESS].session
    if session is not None:
        request.app[SESSIONS].end(session, but=request.transport)


def signed_path(request: web.Request, path: str) -> str:
    """Returns `path` as a browser must request it, signed if the server requires a token.

    A signed path needs no cookie, so an <img> of a page without cookies can use it.
    """
    visible = visible_path(request, path)
    if not request.app[TOKENS].required:
        return visible
    signature = request.app[SIGNATURES].sign(path, session=request.get(SESSION, ""))
    return f"{visible}?{SIGNATURE}={signature}"


def check_token(request: web.Request, given: str) -> Role:
    """Returns the role of a given token; see `role_of`."""
    app, address = request.app, visitor(request).address
    return role_of(given, tokens=app[TOKENS], attempts=app[ATTEMPTS], address=address)


def role_of(given: str, *, tokens: Tokens, attempts: Attempts, address: str) -> Role:
    """Returns the role of a token that a visitor of this address has sent.

    A valid one is accepted even while its address has to wait: strangers who share the address must not
    lock its owner out. Comparing costs one SHA-256 of a header's length.

    Raises:
        ApiError: 401 for a wrong token, 429 after too many wrong ones.
    """
    found = tokens.role_of(given)
    if found is not None:
        return found
    wait_s = attempts.wait_s(address)
    if wait_s:
        raise ApiError(
            429,
            "too_many_attempts",
            f"too many wrong tokens; try again in {wait_s:.0f} s",
            retry_after_s=wait_s,
        )
    attempts.failed(address)
    _LOG.warning("a wrong token from %s", address)
    raise unauthorized("wrong token")


def bearer(headers: Mapping[str, str]) -> str | None:
    """Returns the token in a request's Authorization header, None if there is none."""
    scheme, _, given = headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def unauthorized(message: str) -> ApiError:
    """Returns a 401 that names the required authentication scheme."""
    return ApiError(401, "unauthorized", message, headers={hdrs.WWW_AUTHENTICATE: "Bearer"})


def _access(request: web.Request) -> Access:
    """Returns what a request may do.

    Raises:
        HTTPSeeOther: redirects a browser to the login page.
        ApiError: 401 or 429, as `check_token` does.
    """
    app = request.app
    if not app[TOKENS].required:
        return Access("operator")
    session = app[SESSIONS].find(request.cookies.get(session_cookie(request), ""))
    if session is not None:
        return Access(session.role, session)
    signed = _signed(request)
    if signed is not None:
        return signed
    given = bearer(request.headers)
    if given is not None:
        return Access(check_token(request, given))
    if request.method == "GET" and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        raise web.HTTPSeeOther(visible_path(request, "/login"))
    raise unauthorized(
        "this server requires a token: send Authorization: Bearer TOKEN, or use /login"
    )


def _signed(request: web.Request) -> Access | None:
    """Returns the access of a signed address while the session it was made for is open."""
    if request.method not in ("GET", "HEAD"):
        return None
    value = request.query.get(SIGNATURE, "")
    name = request.app[SIGNATURES].session_of(own_path(request), value)
    if not name:
        return None if name is None else Access("viewer")
    session = request.app[SESSIONS].named(name)
    return None if session is None else Access("viewer", session)


def _changes_what_others_see(request: web.Request) -> bool:
    if request.method in ("GET", "HEAD"):
        return own_path(request) == _SENDS_IMAGES
    return own_path(request) not in _HARMLESS
