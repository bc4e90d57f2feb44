"""How good a network is: metrics, reports, plots, and the record of test-split openings."""
