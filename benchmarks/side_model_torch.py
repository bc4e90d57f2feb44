"""The PyTorch side of the network benchmark: the architecture of fer_jax.models.resnet.

Runs in a separate environment and does not import fer_jax. Memory is channels-last, batch norm is folded
into the convolutions as in ours, autograd is off; weights are random, which costs the same.
"""

from __future__ import annotations

import argparse
import io
import os

import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn.utils.fusion import fuse_conv_bn_eval  # pyright: ignore[reportMissingImports]
from turns import serve, timed

CLASSES = 7
FACE_SIZE = 48


class NormedConv(nn.Sequential):
    """A convolution without bias, with batch norm until `fold`."""

    def __init__(self, inputs: int, outputs: int, *, size: int, stride: int = 1) -> None:
        conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs))

    def fold(self) -> None:
        """Merges the two into one convolution; only in eval mode."""
        self[0], self[1] = fuse_conv_bn_eval(self[0], self[1]), nn.Identity()


class Block(nn.Module):
    """fer_jax.models.blocks.ResidualBlock: [B, C, H, W] -> [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, max_pool: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.shortcut = NormedConv(inputs, outputs, size=1) if inputs != outputs else nn.Identity()
        pooled = max_pool and stride > 1
        first = NormedConv(inputs, outputs, size=3, stride=1 if pooled else stride)
        self.first = nn.Sequential(nn.MaxPool2d(stride), first) if pooled else first
        self.second = NormedConv(outputs, outputs, size=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Adds two convolutions to the shortcut."""
        y = self.second(torch.relu_(self.first(x)))
        return torch.relu_(y.add_(self.shortcut(self.pool(x))))


class ResNet(nn.Module):
    """fer_jax.models.resnet.ResNet: uint8 [B, 48, 48] to float32 logits [B, 7]."""

    def __init__(
        self, widths: list[int], blocks: list[int], *, space_to_depth: bool, max_pool: bool
    ) -> None:
        super().__init__()
        self.fold_pixels = nn.PixelUnshuffle(2) if space_to_depth else nn.Identity()
        self.stem = NormedConv(4 if space_to_depth else 1, widths[0], size=3)
        stages, inputs = [], widths[0]
        for stage, (outputs, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(Block(inputs, outputs, stride=stride, max_pool=max_pool))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.dense = nn.Linear(inputs, CLASSES)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Standardises each face by its own mean and deviation, as fer_jax.faces.preprocess does."""
        x = faces.float()
        x = x - x.mean((1, 2), keepdim=True)
        x = x / x.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1.0)
        x = self.fold_pixels(x[:, None]).contiguous(memory_format=torch.channels_last)
        x = self.stages(torch.relu_(self.stem(x)))
        return self.dense(x.mean((2, 3)))


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of a network's shape, which network_shape.py writes."""
    parser.add_argument("--widths", type=int, nargs="+", required=True)
    parser.add_argument("--blocks", type=int, nargs="+", required=True)
    parser.add_argument("--space-to-depth", action="store_true")
    parser.add_argument("--max-pool", action="store_true", help="instead of striding")


def shaped(arguments: argparse.Namespace) -> ResNet:
    """Returns the network of these flags."""
    return ResNet(
        arguments.widths,
        arguments.blocks,
        space_to_depth=arguments.space_to_depth,
        max_pool=arguments.max_pool,
    )


def main() -> None:
    """Sets up the network and serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_shape(parser)
    parser.add_argument("--batch-size", type=int, required=True, help="faces per batch")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    torch.manual_seed(0)

    network = shaped(arguments)
    version = torch.__version__.partition("+")[0]
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    facts = {
        "title": f"the same in PyTorch {version}, channels-last",
        "parameters": sum(each.numel() for each in network.parameters()),
        "bytes": len(file.getvalue()),
    }
    network = folded(network.eval()).to(memory_format=torch.channels_last)
    faces = torch.randint(256, (arguments.batch_size, FACE_SIZE, FACE_SIZE), dtype=torch.uint8)
    with torch.inference_mode():
        serve(
            {"face": timed(lambda: network(faces[:1])), "batch": timed(lambda: network(faces))},
            about=f"PyTorch {version}, channels-last, batch norm folded, {cores} core(s)",
            facts=facts,
        )


def folded(network: nn.Module) -> nn.Module:
    """Returns the network, in eval mode, with every batch norm folded."""
    for module in list(network.modules()):
        if isinstance(module, NormedConv):
            module.fold()
    return network


if __name__ == "__main__":
    main()
