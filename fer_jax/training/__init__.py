"""The training run: state, steps, schedule, checkpoints, figures."""
