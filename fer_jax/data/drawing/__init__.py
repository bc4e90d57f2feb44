"""Draws faces from action units: a person, facial movements, and a camera."""
