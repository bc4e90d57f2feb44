"""`fer-jax train` with a network that compiles in a second, and quick detection of lost processes."""

from __future__ import annotations

import sys
from typing import cast

from fer_jax import command, models, train
from fer_jax.machine import cluster, member
from tests.factories import TINY_NETWORK


def main() -> int:
    cluster.HEARTBEAT_SECONDS, cluster.FOLDER_SECONDS = 8, 1.0
    cast(dict, models.MODELS)["tiny"] = TINY_NETWORK
    # A member is also a process of this module.
    train.run_member = lambda _, argv: member.run_member("tests.training.tiny_command", argv)
    return command.run(train.main)


if __name__ == "__main__":
    sys.exit(main())
