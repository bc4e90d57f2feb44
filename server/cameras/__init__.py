"""Cameras of every kind behind one face; `server.cameras.camera` is the way in."""
