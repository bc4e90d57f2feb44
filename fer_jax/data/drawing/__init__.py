"""Faces drawn from action units: who it is, what the face does, and how the camera sees it."""
