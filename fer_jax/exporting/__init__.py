"""Networks that leave the project: releases, cards, StableHLO and ONNX."""
