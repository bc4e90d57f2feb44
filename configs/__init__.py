"""The project's configurations; each states its command and the results to expect."""
