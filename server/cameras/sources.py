"""Opens the `Reader` for each kind of source."""

from __future__ import annotations

from collections.abc import Callable

from server.cameras.reader import Reader
from server.cameras.wire import Order


def open_reader(order: Order) -> Reader:
    """Opens the source that the order names.

    Raises:
        SourceError: it is missing, busy, forbidden, or not what it should be.
    """
    return _KINDS[order.kind](order)


def _device(order: Order) -> Reader:
    from server.cameras.device import DeviceReader

    return DeviceReader(order)


def _video_file(order: Order) -> Reader:
    from server.cameras.video_file import VideoFileReader

    return VideoFileReader(order)


def _network(order: Order) -> Reader:
    from server.cameras.still import still_reader

    if (still := still_reader(order)) is not None:
        return still
    from server.cameras.network import NetworkReader

    return NetworkReader(order)


def _demo(order: Order) -> Reader:
    from server.cameras.demo import DemoReader

    return DemoReader(order)


# Imported on demand, so that a capture process starts quickly.
_KINDS: dict[str, Callable[[Order], Reader]] = {
    "device": _device,
    "file": _video_file,
    "network": _network,
    "demo": _demo,
}
