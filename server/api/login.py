"""GET and POST /login, POST /logout: a form for the token, and a session in exchange for it."""

from __future__ import annotations

import urllib.parse

from aiohttp import hdrs, web

from server.access.authorization import check_token, end_session
from server.access.keys import SESSIONS, TOKENS
from server.access.refusal import ApiError
from server.access.sessions import SESSION_S
from server.access.tokens import Role
from server.access.visitors import is_secure, session_cookie, visible_path, visitor
from server.api.bodies import read_body
from server.api.pages import page

_FORM = "application/x-www-form-urlencoded"
_TOKEN = "token"  # the field of the form and of the query
_FORM_BYTES = 4096
_FORM_S = 10.0


async def login_page(request: web.Request) -> web.StreamResponse:
    """Shows the form; `?error=CODE` adds what went wrong, `?token=TOKEN` logs in without it.

    An address with a token redirects at once, so that it is neither bookmarked nor seen by bystanders.
    """
    if not request.app[TOKENS].required:
        raise web.HTTPSeeOther(visible_path(request, "/"))
    if _TOKEN not in request.query:
        return page(request, "login.html")
    try:
        role = check_token(request, request.query[_TOKEN])
    except ApiError as refusal:
        raise web.HTTPSeeOther(visible_path(request, f"/login?error={refusal.code}")) from None
    answer = _to(request, "/")
    _open_session(request, answer, role)
    return answer


async def login(request: web.Request) -> web.StreamResponse:
    """Sets a session cookie in exchange for the form field `token`.

    Redirects the browser to the viewer, or back to the form with the error's code.
    """
    wants_page = "text/html" in request.headers.get(hdrs.ACCEPT, "")
    try:
        given = await _form_token(request)
        role = check_token(request, given) if request.app[TOKENS].required else None
    except ApiError as refusal:
        if not wants_page or refusal.status not in (401, 429):
            raise
        raise web.HTTPSeeOther(visible_path(request, f"/login?error={refusal.code}")) from None
    answer = _to(request, "/") if wants_page else web.json_response({"status": "ok"})
    if role is not None:
        _open_session(request, answer, role)
    return answer


def _open_session(request: web.Request, answer: web.Response, role: Role) -> None:
    answer.set_cookie(
        session_cookie(request),
        request.app[SESSIONS].open(role, address=visitor(request).address),
        max_age=int(SESSION_S),
        path=visitor(request).prefix or "/",
        httponly=True,
        samesite="Lax",  # Strict would ask for the token again after a link in a message
        secure=is_secure(request),
    )


async def logout(request: web.Request) -> web.StreamResponse:
    """Ends this browser's session and its open streams."""
    end_session(request)
    wants_page = "text/html" in request.headers.get(hdrs.ACCEPT, "")
    answer = _to(request, "/login") if wants_page else web.json_response({"status": "ok"})
    answer.del_cookie(
        session_cookie(request),
        path=visitor(request).prefix or "/",
        secure=is_secure(request),
        httponly=True,
        samesite="Lax",
    )
    return answer


async def _form_token(request: web.Request) -> str:
    if request.content_type != _FORM:
        raise ApiError(415, "unsupported_media_type", f"expected a form as {_FORM}")
    body = await read_body(request, most=_FORM_BYTES, seconds=_FORM_S)
    try:
        text = body.decode("utf-8", "replace")
        fields = urllib.parse.parse_qs(text, keep_blank_values=True, max_num_fields=16)
        (token,) = fields.get(_TOKEN, [])
    except ValueError:
        raise ApiError(400, "bad_form", "expected a form with one field, token") from None
    return token


def _to(request: web.Request, path: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: visible_path(request, path)})
