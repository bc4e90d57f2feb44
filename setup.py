"""Adds the recipes to the wheel: `configs/` is installed as the package `fer_jax.recipes`."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["fer_jax", "fer_jax.*", "server", "server.*"]),
        "fer_jax.recipes",
    ],
    package_dir={"fer_jax.recipes": "configs"},
)
