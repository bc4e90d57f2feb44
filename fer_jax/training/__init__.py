"""Training: state, steps, schedule, checkpoints, progress."""
