"""Scoring on a cluster: the inputs in units, a Ray actor pool that scores them, rows in parts."""
