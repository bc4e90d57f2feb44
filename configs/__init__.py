"""Configurations that come with the project; each says its command, its time and its score."""
