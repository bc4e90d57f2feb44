"""Scoring files: images and videos in, one row per face out, none lost."""
