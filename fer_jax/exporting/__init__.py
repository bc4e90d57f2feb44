"""Exports networks: releases, model cards, StableHLO and ONNX."""
