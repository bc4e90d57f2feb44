"""Joins images and sound: `python -m fer_jax.media.sound_process VIDEO TARGET < SOURCE`.

Started by `sound.join_sound`. SOURCE is untrusted: it is read without network access and within limits
of memory and time. The exit code is the result; a reason is printed.
"""

from __future__ import annotations

import heapq
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fer_jax.machine.confinement import (
    CpuLimit,
    drop_privileges,
    leave_network,
    leave_no_core_dumps,
    limit_memory,
)
from fer_jax.machine.outputs import FULL_DISK

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

JOINED, NO_SOUND, LOST, DISK_FULL = 0, 3, 4, 5  # exit codes

_MEMORY_BYTES = 1 << 30
_FURTHER_CPU_S = 60.0  # from one packet to the next
_COPIED = {"mp4": {"aac", "mp3"}, "webm": {"opus", "vorbis"}}  # what every browser plays
# With the sampling rates that stay, in Hz; other sound gets the last one.
_ENCODERS = {"mp4": ("aac", (44_100, 48_000)), "webm": ("libopus", (48_000,))}
_BITS = 160_000  # a second; no difference is heard, for two channels


def main(video: str, target: str) -> int:
    """Writes TARGET; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner handles Ctrl-C
    leave_no_core_dumps()
    drop_privileges()
    leave_network()
    # Not earlier: it starts threads, and a process with threads cannot give up its network.
    import av.error

    limit_memory(_MEMORY_BYTES)
    cpu = CpuLimit()
    try:
        joined = join(
            Path(video), sys.stdin.buffer, Path(target), alive=lambda: cpu.allow(_FURTHER_CPU_S)
        )
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        if getattr(error, "errno", None) in FULL_DISK:
            return DISK_FULL
        print(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        return LOST
    return JOINED if joined else NO_SOUND


def join(video: Path, source: BinaryIO, target: Path, *, alive: Callable[[], None]) -> bool:
    """Does the work of `sound.join_sound` in this process.

    Args:
        video, target: as there.
        source: at its beginning; it stays the caller's to close.
        alive: called for every packet.

    Returns:
        Whether there is a sound track; nothing is written without one.

    Raises:
        FFmpegError, OSError, ValueError: the sound cannot be read, or the target not be written.
    """
    import av

    from fer_jax.media.video_container import open_container, video_stream

    with open_container(source) as sounding:
        tracks = [track for track in sounding.streams.audio if track.codec_context is not None]
        if not sounding.streams.audio:
            return False
        if not tracks:
            raise ValueError("its codec is not supported")
        shown = video_stream(sounding)
        zero_s = float((shown.start_time or 0) * (shown.time_base or 0))
        with (
            av.open(str(video.absolute())) as images,
            av.open(str(target.absolute()), "w", options={"movflags": "+faststart"}) as joined,
        ):
            pictured = joined.add_stream_from_template(images.streams.video[0], opaque=True)
            if tracks[0].codec_context.name in _COPIED[joined.format.name]:
                heard = _copied(sounding, tracks[0], joined, zero_s)
            else:
                heard = _encoded(sounding, tracks[0], joined, zero_s)
            for packet in heapq.merge(_moved(images, pictured), heard, key=_time):
                alive()
                joined.mux(packet)
    return True


def _time(packet: Packet) -> float:
    assert packet.dts is not None
    return float(packet.dts * packet.time_base)


def _moved(images: InputContainer, target: VideoStream) -> Iterator[Packet]:
    for packet in images.demux(images.streams.video[0]):
        if packet.dts is not None:  # the last one is empty
            packet.stream = target
            yield packet


def _copied(
    sounding: InputContainer, track: AudioStream, joined: OutputContainer, zero_s: float
) -> Iterator[Packet]:
    target = joined.add_stream_from_template(track)

    def packets() -> Iterator[Packet]:
        last = -1
        for packet in sounding.demux(track):
            if packet.dts is None or packet.pts is None:
                continue
            shift = round(zero_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet.dts > last:
                last = packet.dts
                packet.stream = target
                yield packet

    return packets()


def _encoded(
    sounding: InputContainer, track: AudioStream, joined: OutputContainer, zero_s: float
) -> Iterator[Packet]:
    import av.error
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream

    encoder, rates = _ENCODERS[joined.format.name]
    rate = track.rate if track.rate in rates else rates[-1]
    layout = "mono" if track.channels == 1 else "stereo"
    target = joined.add_stream(encoder, rate, layout=layout, bit_rate=_BITS)
    assert isinstance(target, AudioStream)
    joined.start_encoding()  # so that the encoder knows the size of its frames
    resampler = AudioResampler(
        target.format.name,
        layout,
        rate,
        target.frame_size,
        # Silence where sound is missing, and nothing from before the first image.
        {"async": "1", "first_pts": "0"},
    )

    def packets() -> Iterator[Packet]:
        for packet in sounding.demux(track):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue  # damage; silence takes its place
            for frame in frames:
                if frame.pts is not None and frame.time_base is not None:
                    frame.pts -= round(zero_s / frame.time_base)
                for heard in resampler.resample(frame):
                    yield from target.encode(heard)
        for heard in resampler.resample(None):
            yield from target.encode(heard)
        yield from target.encode(None)

    return packets()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
