"""The Python interface: `from fer_jax import Predictor` gives what is here."""
