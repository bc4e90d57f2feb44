"""Cameras of every kind behind one face; `server.cameras.opening` is the way in."""
