"""What `python -m fer_jax.explore` shows of a data set: its statistics, images and page."""
