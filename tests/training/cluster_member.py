"""`fer-jax train` for tests of clusters: a tiny network, and quick detection of lost processes."""

from __future__ import annotations

import functools
import sys
from typing import cast

from fer_jax import command, models, train
from fer_jax.machine import cluster, member
from fer_jax.models.resnet import ResNet


def main() -> int:
    cluster.HEARTBEAT_SECONDS, cluster.FOLDER_SECONDS = 8, 1.0
    networks = cast(dict, models.MODELS)
    networks["tiny"] = functools.partial(ResNet, widths=(8, 16), blocks=(1, 1), dropout=0.3)
    # A member is also a process of this module.
    train.run_member = lambda _, argv: member.run_member("tests.training.cluster_member", argv)
    return command.run(train.main)


if __name__ == "__main__":
    sys.exit(main())
