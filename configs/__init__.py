"""Configurations that come with the project; each says its command, and what to expect."""
