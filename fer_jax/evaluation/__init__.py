"""Evaluates networks: metrics, reports, plots, and the record of test-split openings."""
