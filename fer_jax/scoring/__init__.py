"""Scoring files: pictures and videos in, one row per face out, none lost."""
