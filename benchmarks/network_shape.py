"""A residual network's shape as flags, for benchmark sides that build it in PyTorch."""

from __future__ import annotations

from fer_jax.models.resnet import ResNet


def shape_flags(network: ResNet) -> list[str]:
    """Returns the flags that `side_model_torch.add_shape` reads."""
    line = ["--widths", *map(str, network.widths), "--blocks", *map(str, network.blocks)]
    line += ["--space-to-depth"] if network.space_to_depth else []
    return [*line, "--max-pool"] if network.mirrored else line
