"""Finds, reads and decodes untrusted images and videos, with a reason for each refusal."""
