"""Where handlers find what guards the server: typed keys of the aiohttp application."""

from __future__ import annotations

from aiohttp import web

from server.access.admission import Doors
from server.access.load_shedding import UploadPace
from server.access.stuck_sockets import StuckSockets
from server.access.tokens import Attempts, Tokens
from server.settings import Settings

SETTINGS = web.AppKey("settings", Settings)
TOKENS = web.AppKey("tokens", Tokens)
ATTEMPTS = web.AppKey("attempts", Attempts)
STREAMS = web.AppKey("streams", Doors)  # who watches pictures
EVENTS = web.AppKey("events", Doors)  # who listens to results, WebSockets included
UPLOAD_PACE = web.AppKey("upload_pace", UploadPace)
UPLOADS = web.AppKey("uploads", Doors)  # requests with images
EXPLANATIONS = web.AppKey("explanations", Doors)  # who asks why
SOCKETS = web.AppKey("sockets", StuckSockets)
