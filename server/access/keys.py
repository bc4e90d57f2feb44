"""Typed keys under which handlers find access control in the aiohttp application."""

from __future__ import annotations

from aiohttp import web

from server.access.admission import Admission
from server.access.attempts import Attempts
from server.access.load_shedding import LoadShedding
from server.access.proxies import TrustedProxies
from server.access.sessions import Sessions
from server.access.signatures import Signatures
from server.access.stuck_sockets import StuckSockets
from server.access.tokens import Tokens
from server.settings import Settings

SETTINGS = web.AppKey("settings", Settings)
TOKENS = web.AppKey("tokens", Tokens)
SESSIONS = web.AppKey("sessions", Sessions)
SIGNATURES = web.AppKey("signatures", Signatures)
ATTEMPTS = web.AppKey("attempts", Attempts)
PROXIES = web.AppKey("proxies", TrustedProxies)
PROXIED = web.AppKey("proxied", Admission)  # requests that came through a trusted proxy
STREAMS = web.AppKey("streams", Admission)  # viewers of images
EVENTS = web.AppKey("events", Admission)  # readers of results, WebSockets included
LOAD_SHEDDING = web.AppKey("load_shedding", LoadShedding)
UPLOADS = web.AppKey("uploads", Admission)  # requests with images
EXPLANATIONS = web.AppKey("explanations", Admission)  # requests for explanations
SOCKETS = web.AppKey("sockets", StuckSockets)
