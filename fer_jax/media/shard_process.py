"""A shard process: `python -m fer_jax.media.shard_process`, started by `media.shards`.

It sends the images of one shard after the other, without network access and within limits of memory
and time, until its owner closes the socket. It may crash on a shard: its owner starts another.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from fer_jax.machine.confinement import (
    CpuLimit,
    drop_privileges,
    leave_network,
    leave_no_core_dumps,
    limit_memory,
)
from fer_jax.media.decoder_wire import DecoderWireError
from fer_jax.media.shard_wire import Told, receive_shard, send_told

# Of a Parquet file a few pages are in memory, decompressed.
_MEMORY_BYTES = 1 << 30
_CPU_S_PER_IMAGE = 60.0


def main(descriptor: int, memory_descriptor: int, most_bytes: int) -> int:
    """Serves the owner at the other end of the socket `descriptor`; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner handles Ctrl-C
    leave_no_core_dumps()
    drop_privileges()
    leave_network()
    os.close(memory_descriptor)
    with socket.socket(fileno=descriptor) as wire:
        try:
            while (received := receive_shard(wire)) is not None:
                _send_members(wire, *received, most_bytes)
        except DecoderWireError:
            return 0  # the owner is gone
    return 0


def _send_members(wire: socket.socket, kind: str, shard: int, most_bytes: int) -> None:
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet

        pa.set_cpu_count(1)
        pa.set_io_thread_count(1)
    from fer_jax.media.shard_formats import BadShardError, read_shard

    limit_memory(_MEMORY_BYTES + 4 * most_bytes)
    cpu = CpuLimit()
    cpu.allow(_CPU_S_PER_IMAGE)
    told, reason = Told.END, ""
    try:
        with os.fdopen(shard, "rb") as file:
            for name, data, error in read_shard(file, kind=kind, most_bytes=most_bytes):
                send_told(wire, Told.REFUSED if error else Told.IMAGE, name, data or error or "")
                cpu.allow(_CPU_S_PER_IMAGE)
    except BadShardError as error:
        told, reason = Told.FAILED, str(error)
    except MemoryError:
        told, reason = Told.FAILED, "the shard needs more memory than its reader may take"
    except OSError as error:
        told, reason = Told.FAILED, error.strerror or str(error)
    send_told(wire, told, "", reason)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
