"""Cameras of every kind behind one interface; `server.cameras.opening` is the entry point."""
