"""Adds the source's sound to a video that we wrote, in a process that may crash on it."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from fer_jax.machine.confinement import child_command, child_environment
from fer_jax.media.child import how_it_ended
from fer_jax.media.images import open_regular
from fer_jax.media.sound_process import DISK_FULL, JOINED, LOST, NO_SOUND

_MODULE = "fer_jax.media.sound_process"
_LONGEST_REASON = 200


def join_sound(video: Path, source: Path, target: Path) -> str | None:
    """Writes `target`: the images of `video` with the sound of `source`, from its first image on.

    Sound that every browser plays from such a file is copied. Other sound is encoded, as AAC in MP4 and
    as Opus in WebM, with one or two channels.

    Args:
        video: as `VideoWriter` wrote it.
        source: an untrusted video.
        target: a new file, with the ending of `video`.

    Returns:
        None if `target` is complete, otherwise why there is no sound; "" if `source` has none.

    Raises:
        MediaError: `source` cannot be opened.
        OSError: no process can be started, or the disk is full.
    """
    with open_regular(source) as file:
        done = subprocess.run(
            child_command(_MODULE, video, target),
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=child_environment(MALLOC_ARENA_MAX="2"),
            check=False,
        )
    if done.returncode == JOINED:
        return None
    target.unlink(missing_ok=True)
    if done.returncode == NO_SOUND:
        return ""
    if done.returncode == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if done.returncode == LOST:
        text = " ".join(done.stdout.decode(errors="replace").split())[:_LONGEST_REASON]
        return f"its sound cannot be read ({text})"
    return f"its sound cannot be read (the decoder crashed: {how_it_ended(done.returncode)})"
