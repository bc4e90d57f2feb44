"""Alternating runs: processes that work only on request, so that one at a time has the machine.

A request is a line "ACTION COUNT", the reply a line of JSON. Uses only the standard library, because the
two ends may run in different environments.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Action = Callable[[int], Sequence[float] | None]  # performs an action that many times


class Turn(NamedTuple):
    """The time of one turn."""

    seconds: float  # wall-clock time
    cpu_seconds: float  # summed over the process's threads
    each: Sequence[float] = ()  # seconds of each repetition, if the action reports them


def has_module(python: str, name: str) -> bool:
    """Whether another environment's Python exists and has a module."""
    probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is None)"
    try:
        return subprocess.run([python, "-c", probe], check=False).returncode == 0
    except OSError:
        return False


def alternating(names: Iterable[T], rounds: int) -> Iterator[T]:
    """Yields every name once per round; every other round is reversed, so that no position helps."""
    each = list(names)
    for number in range(rounds):
        yield from each[:: -1 if number % 2 else 1]


class Player:
    """A child process that has set itself up and waits for requests.

    Attributes:
        about: its own description, in one line.
        facts: further facts that it reports.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        """Starts `command` under the name `name` and waits until it is ready.

        Raises:
            ChildProcessError: it ended instead.
        """
        self._name = name
        # Kept for failures: libraries print much at every start.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        ready = self._answer()
        self.about, self.facts = str(ready["about"]), dict(ready["facts"])

    def play(self, action: str, count: int) -> Turn:
        """Has the process perform `action` `count` times and returns their total time.

        Raises:
            ChildProcessError: it ended instead.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its reply, or the lack of one, shows more
            print(action, count, file=self._process.stdin, flush=True)
        answer = self._answer()
        return Turn(**answer)

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._said.seek(0)
            last = (self._said.read().strip() or "nothing").splitlines()[-1]
            raise ChildProcessError(f"{self._name}: ended with exit code {code}, saying: {last}")
        return json.loads(line)


def serve(
    actions: Mapping[str, Action], *, about: str, facts: Mapping[str, Any] | None = None
) -> None:
    """Serves requests on standard input until it is closed.

    Args:
        actions: name -> function that performs the action that many times and then returns.
        about: one line on what runs here.
        facts: further facts for the other end, JSON-serialisable.
    """
    # Libraries that print must not corrupt the replies: they get standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(json.dumps({"about": about, "facts": facts or {}}), file=answers, flush=True)
    for line in sys.stdin:
        action, count = line.split()
        start, cpu_start = time.perf_counter(), time.process_time()
        each = actions[action](int(count)) or ()
        turn = Turn(time.perf_counter() - start, time.process_time() - cpu_start, each)
        print(json.dumps(turn._asdict()), file=answers, flush=True)


def timed(call: Callable[[], object]) -> Action:
    """Returns an action that calls `call` that many times and reports the seconds of each."""

    def action(count: int) -> list[float]:
        each = []
        for _ in range(count):
            start = time.perf_counter()
            call()
            each.append(time.perf_counter() - start)
        return each

    return action
