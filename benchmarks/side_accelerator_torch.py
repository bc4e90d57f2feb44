"""The PyTorch side of the accelerator benchmark: the same network and recipe, at its fastest.

Runs in a separate environment and does not import fer_jax. Faces are kept and augmented on the device;
the step is compiled, in bfloat16 with float32 parameters, channels-last, with a fused optimiser.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from side_model_torch import ResNet
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]
from turns import serve

_SIDE = 48
_SHAPE = ("widths", "blocks", "space_to_depth", "max_pool")


class Training:
    """A run that continues for a number of steps or epochs at a time."""

    def __init__(self, setting: dict[str, Any], device: torch.device) -> None:
        self._config, self._device = setting["config"], device
        with np.load(setting["faces"]) as stored:
            arrays = {name: torch.from_numpy(stored[name]).to(device) for name in stored.files}
        self._arrays = arrays
        self._rates = arrays["learning_rates"].tolist()
        torch.manual_seed(0)
        shape = setting["network"]
        network = ResNet(**{name: shape[name] for name in _SHAPE})
        network.dense = nn.Sequential(nn.Dropout(shape["dropout"]), network.dense)
        self._network = network.to(self._device, memory_format=torch.channels_last)
        self._averaged = copy.deepcopy(self._network).eval()
        self._first = copy.deepcopy(self._network.state_dict())
        self._forward = torch.compile(self._loss)
        self.restart(1)

    def restart(self, count: int) -> None:
        """Starts over; compiled programs are kept."""
        del count
        for network in (self._network, self._averaged):
            network.load_state_dict(self._first)
        decayed = [p for p in self._network.parameters() if p.ndim > 1]
        others = [p for p in self._network.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self._config["optim"]["weight_decay"]},
            {"params": others, "weight_decay": 0.0},
        ]
        fused = self._device.type == "cuda"
        self._optimizer = torch.optim.AdamW(groups, lr=self._rates[0], fused=fused)
        self._step, self._epoch, self._order = 0, 0, None

    def steps(self, count: int) -> None:
        """Trains for `count` steps on any faces, and waits."""
        for _ in range(count):
            self._train_step(min(self._step, len(self._rates) - 1))
        self._wait()

    def epoch(self, count: int) -> list[float]:
        """Trains for `count` epochs; returns the accuracy of the averaged weights after each."""
        accuracies = []
        for _ in range(count):
            self._epoch += 1
            faces, batch = len(self._arrays["labels"]), self._config["batch_size"]
            end = math.ceil(self._epoch * faces / batch)
            while self._step < end:
                self._train_step(self._step)
            accuracies.append(self._accuracy())
        return accuracies

    def _train_step(self, step: int) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._rates[step]
        rows = self._rows(self._step)
        faces = augmented(self._arrays["images"][rows], self._config["augment"])
        self._network.train()
        loss = self._forward(faces, self._arrays["labels"][rows].long())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), self._config["optim"]["clip_norm"])
        self._optimizer.step()
        kept = min(self._config["ema_decay"], (1 + self._step) / (10 + self._step))
        pairs = (
            (self._averaged.parameters(), self._network.parameters()),
            (self._averaged.buffers(), self._network.buffers()),
        )
        for averages, values in pairs:
            both = [(a, v) for a, v in zip(averages, values, strict=True) if a.is_floating_point()]
            with torch.no_grad():
                torch._foreach_lerp_([a for a, _ in both], [v for _, v in both], 1 - kept)
        self._step += 1

    def _loss(self, faces: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self._device.type, torch.bfloat16):
            logits = self._network(faces)
        smoothing = self._config["loss"]["label_smoothing"]
        return functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)

    def _rows(self, step: int) -> torch.Tensor:
        """The faces of a step; every epoch has its own order."""
        batch, faces = self._config["batch_size"], len(self._arrays["labels"])
        start = step * batch % faces
        if self._order is None or start < batch:
            self._order = torch.randperm(faces, device=self._device)
        return self._order[torch.arange(start, start + batch, device=self._device) % faces]

    @torch.no_grad()
    def _accuracy(self) -> float:
        images, labels = (self._arrays[f"validation_{name}"] for name in ("images", "labels"))
        hits = 0
        for some, of_some in zip(images.split(2048), labels.split(2048), strict=True):
            with torch.autocast(self._device.type, torch.bfloat16):
                hits += int((self._averaged(some).argmax(1) == of_some).sum())
        return hits / len(labels)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def augmented(faces: torch.Tensor, amounts: dict[str, float]) -> torch.Tensor:
    """Returns uint8 faces [B, 48, 48] after fer_jax's warps, gammas and rectangles, as float32."""
    count, device = len(faces), faces.device

    def drawn(most: float, *shape: int) -> torch.Tensor:
        return (2 * torch.rand(count, *shape, device=device) - 1) * most

    angle = torch.deg2rad(drawn(amounts["rotate_degrees"]))
    zoom, shear = 1 + drawn(amounts["scale"]), drawn(amounts["shear"])
    mirror = torch.where(torch.rand(count, device=device) < 0.5 * amounts["flip"], -1.0, 1.0)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    top = torch.stack([cos * mirror, (shear * cos - sin), drawn(2 * amounts["translate"])], 1)
    low = torch.stack([sin * mirror, (shear * sin + cos), drawn(2 * amounts["translate"])], 1)
    grid = functional.affine_grid(
        torch.stack([top, low], 1), [count, 1, _SIDE, _SIDE], align_corners=True
    )
    varied = functional.grid_sample(
        faces[:, None].float(), grid, padding_mode="reflection", align_corners=True
    )[:, 0]
    varied = 255 * (varied / 255) ** torch.exp(drawn(amounts["gamma"], 1, 1))
    return _erased(varied.round(), amounts)


def _erased(faces: torch.Tensor, amounts: dict[str, float]) -> torch.Tensor:
    count, device = len(faces), faces.device
    chosen = torch.rand(count, device=device) < amounts["erase_probability"]
    area = (0.02 + torch.rand(count, device=device) * (amounts["erase_area"] - 0.02)) * _SIDE**2
    aspect = torch.exp((2 * torch.rand(count, device=device) - 1) * math.log(3))
    inside = chosen[:, None, None]
    for axis, extent in ((1, torch.sqrt(area * aspect)), (2, torch.sqrt(area / aspect))):
        extent = extent.round().clamp(max=_SIDE)
        first = (torch.rand(count, device=device) * (_SIDE - extent + 1)).floor()
        at = torch.arange(_SIDE, device=device)
        within = (at >= first[:, None]) & (at < (first + extent)[:, None])
        inside = inside & (within[:, :, None] if axis == 1 else within[:, None, :])
    noise = torch.randint(256, faces.shape, device=device).float()
    return torch.where(inside, noise, faces)


def main() -> None:
    """Sets up the run described in the file on the command line and serves turns."""
    setting = json.loads(Path(sys.argv[1]).read_text())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    training = Training(setting, device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    serve(
        {"steps": training.steps, "epoch": training.epoch, "restart": training.restart},
        about=f"PyTorch {torch.__version__}, {name}",
    )


if __name__ == "__main__":
    main()
