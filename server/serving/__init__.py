"""Scoring on a Ray Serve cluster: the HTTP side, and the replicas behind it."""
