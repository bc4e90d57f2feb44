"""The PyTorch side of the throughput benchmark: a residual network of fer_jax, trained on the CPU.

Runs in a separate environment and does not import fer_jax. Memory is channels-last, parameters are
float32, the optimiser is fused; --dtype bfloat16 computes under autocast. Batches are ready-made,
without augmentation, clipping, averaging or metrics.
"""

from __future__ import annotations

import argparse
import itertools

import torch  # pyright: ignore[reportMissingImports]
from side_model_torch import CLASSES, FACE_SIZE, add_shape, shaped
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]
from turns import serve

_READY_BATCHES = 16


class Training:
    """A run that continues for a number of steps at a time."""

    def __init__(self, network: nn.Module, *, batch_size: int, dtype: torch.dtype) -> None:
        self._network = network.to(memory_format=torch.channels_last).train()
        self._dtype = dtype
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=2e-3, weight_decay=0.2, fused=True
        )
        shape = (_READY_BATCHES, batch_size)
        faces = torch.randint(256, (*shape, FACE_SIZE, FACE_SIZE), dtype=torch.uint8)
        labels = torch.randint(CLASSES, shape)
        self._batches = itertools.cycle(list(zip(faces, labels, strict=True)))

    def steps(self, count: int) -> None:
        """Trains for `count` steps."""
        for faces, labels in itertools.islice(self._batches, count):
            loss = self._loss(faces, labels)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()

    def _loss(self, faces: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            logits = self._network(faces)
        return functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)


def main() -> None:
    """Sets up the network and serves turns of training."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_shape(parser)
    parser.add_argument("--dropout", type=float, required=True, help="before the dense layer")
    parser.add_argument("--batch-size", type=int, required=True, help="faces a step")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, required=True, help="as many as cores")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    network = shaped(arguments)
    network.dense = nn.Sequential(nn.Dropout(arguments.dropout), network.dense)
    dtype = getattr(torch, arguments.dtype)
    training = Training(network, batch_size=arguments.batch_size, dtype=dtype)
    serve(
        {"steps": training.steps},
        about=f"PyTorch {torch.__version__}, channels-last, {arguments.dtype}, "
        f"{arguments.threads} thread(s)",
        facts={"parameters": sum(each.numel() for each in network.parameters())},
    )


if __name__ == "__main__":
    main()
