"""Checks types and shapes of arguments while the tests run (see conftest.py)."""

from beartype import BeartypeConf, beartype

# An int may stand for a float, as PEP 484 says and every type checker allows.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
