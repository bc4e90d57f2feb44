"""Tries the commands and snippets printed in README and docs.

Every command is parsed by the parser of its program, in this process. Commands that need only photos, a
clip or a small network also run; their inputs are created first, under the printed names.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.metadata
import importlib.util
import io
import re
import runpy
import shlex
import signal
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

from packaging.requirements import Requirement

from fer_jax.config import command_line
from server import flags
from tests.documents import ROOT, Block
from tests.printed_inputs import provide, provide_input

# Programs that no test here can try, and why.
OTHER_LANGUAGES = {
    "": "a drawing",
    "text": "what the block before it prints, on a photograph that is not in the repository",
    "nginx": "a part of another program's configuration",
}
OTHER_PROGRAMS = {
    "docker": "needs a container engine; tests/server/test_main.py starts the same command",
    "git": "needs a network",
    "kubectl": "needs a cluster; tests/whole/test_deploy.py validates what it applies",
    "ray": "starts a cluster; tests/cluster starts one in its own way",
    "serve": "needs a cluster; tests/server/test_ray_serve.py starts the same application",
    "systemctl": "needs systemd as the first process",
}
OTHER_MODULES = {
    "venv": "makes an environment; tests/whole/test_wheel.py installs the package into one",
    "pytest": "would run the tests again",
}
# Their commands run; others take hours, or serve until stopped.
QUICK = ("score", "explain", "explore", "evaluate", "export")

_SUBSTITUTION = re.compile(r"\$\(((?:[^()']|'[^']*')*)\)")
_ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=")


class AcceptedError(BaseException):
    """A program has parsed its arguments and stops there."""


def try_snippet(block: Block, folder: Path) -> str:
    """Runs a Python block in `folder`, after creating the images and networks that it names.

    Returns:
        Its output.
    """
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            provide_input(node.value, folder)
    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said):
        exec(compile(tree, str(block), "exec"), {"__name__": "__main__"})
    return said.getvalue()


def try_command(line: str, folder: Path, *, run: bool = True) -> str:
    """Checks the programs of one line in `folder`; with `run`, runs the quick ones.

    Returns:
        Their output.

    Raises:
        AssertionError: a program does not accept these arguments, fails, or is unknown.
    """
    said = ""

    def answer(found: re.Match[str]) -> str:
        return shlex.quote(try_command(found[1], folder, run=run).strip())

    words = shlex.shlex(_SUBSTITUTION.sub(answer, line), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    program: list[str] = []
    for word in (*words, ";"):
        if not set(word) <= set(";&|"):
            program.append(word)
        elif program:
            said += _try_program(program, folder, run=run)
            program = []
    return said


def read_setting(setting: str) -> None:
    """Reads a KEY=VALUE of the training configuration, or fails."""
    line = ["--config", str(ROOT / "configs/base.py"), f"--config.{setting}"]
    _run("fer_jax.train", line, {}, ROOT, whole=False)


def _try_program(words: Sequence[str], folder: Path, *, run: bool) -> str:
    count = next(k for k, word in enumerate(words) if not _ASSIGNMENT.match(word))
    environment = dict(word.split("=", 1) for word in words[:count])
    name, arguments = words[count].rpartition("/")[2], list(words[count + 1 :])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("scripts", {})
    if name in scripts:
        module = scripts[name].partition(":")[0]
        return _try_python(["-m", module, *arguments], environment, folder, run=run)
    if re.fullmatch(r"python3?(\.\d+)?", name):
        return _try_python(arguments, environment, folder, run=run)
    if name == "pip":
        _check_pip(arguments)
    elif name == "make":
        _check_make(arguments)
    else:
        assert name in OTHER_PROGRAMS, f"{name} is tried by no test; see OTHER_PROGRAMS"
    return ""


def _try_python(
    arguments: Sequence[str], environment: dict[str, str], folder: Path, *, run: bool
) -> str:
    kind, rest = arguments[0], list(arguments[1:])
    if kind == "-c":
        return _output_of(sys.executable, *arguments)
    if kind != "-m":
        assert (ROOT / kind).is_file(), f"there is no file {kind}"
        return _run(str(ROOT / kind), rest, environment, folder, whole=False)
    module, rest = rest[0], rest[1:]
    if module == "pip":
        _check_pip(rest)
        return ""
    if module in OTHER_MODULES:
        return ""
    assert importlib.util.find_spec(module), f"there is no module {module}"
    if not rest and not run:
        return ""  # it is only mentioned
    provide(rest, folder)
    quick = module.rpartition(".")[2] in QUICK or bool({*rest[:1]} & {*QUICK})
    quick = quick and "--engine" not in rest  # tests/cluster runs such commands
    return _run(module, rest, environment, folder, whole=run and quick)


def _run(
    program: str,
    arguments: Sequence[str],
    environment: dict[str, str],
    folder: Path,
    *,
    whole: bool,
) -> str:
    """Runs a module or script like Python's command line, to its end or until it parsed its
    arguments."""
    said, complained, code = io.StringIO(), io.StringIO(), None
    interrupt = signal.getsignal(signal.SIGINT)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(mock.patch.dict("os.environ", environment))
        stack.enter_context(mock.patch.object(sys, "argv", [program, *arguments]))
        stack.enter_context(mock.patch.object(sys, "path", [str(Path(program).parent), *sys.path]))
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(complained))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", ".*found in sys.modules after import", RuntimeWarning)
        if not whole:
            stack.enter_context(_ended_when_understood(program, arguments))
        try:
            if program.endswith(".py"):
                runpy.run_path(program, run_name="__main__")
            else:
                runpy.run_module(program, run_name="__main__", alter_sys=True)
        except AcceptedError:
            pass
        except SystemExit as end:
            code = end.code
        finally:
            signal.signal(signal.SIGINT, interrupt)
    assert not code, complained.getvalue()
    return said.getvalue()


@contextlib.contextmanager
def _ended_when_understood(program: str, arguments: Sequence[str]) -> Iterator[None]:
    """Raises AcceptedError once a program has parsed all of `arguments`, as deeply as it can at once."""
    if program == "fer_jax.train" or arguments[:1] == ["train"]:
        place, name = command_line, "read_config"
    elif program == "server" or arguments[:1] == ["live"]:
        place, name = flags, "from_arguments"
    else:
        place, name = argparse.ArgumentParser, "parse_args"
    read = getattr(place, name)

    def reading(*args: object, **options: object) -> object:
        result = read(*args, **options)
        given = args[1] if len(args) > 1 and place is argparse.ArgumentParser else None
        # A program with several commands parses the command's name first.
        if given is None or [*given][-1:] == [*arguments][-1:]:  # type: ignore[misc]
            raise AcceptedError
        return result

    with mock.patch.object(place, name, reading):
        yield


def _check_pip(arguments: Sequence[str]) -> None:
    """Checks an installation: its files exist, and the packages have its extras."""
    assert arguments[0] == "install"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    rest = iter(arguments[1:])
    for word in rest:
        if word in ("-c", "-r"):
            assert (ROOT / next(rest)).is_file()
        elif word not in ("-e", "--editable", "--upgrade", "-U", "--quiet"):
            wanted = Requirement(re.sub(r"^\.(?=\[|$)", project["name"], word))
            if wanted.name.replace("-", "_") == project["name"]:
                has = set(project["optional-dependencies"])
            else:
                has = set(importlib.metadata.metadata(wanted.name).get_all("Provides-Extra") or ())
            assert wanted.extras <= has, f"{wanted.name} has no extra {wanted.extras - has}"


def _check_make(arguments: Sequence[str]) -> None:
    """Checks that the Makefile has the target and uses the variables."""
    makefile = (ROOT / "Makefile").read_text()
    for word in arguments:
        if "=" in word:
            assert f"$({word.partition('=')[0]})" in makefile, f"the Makefile does not use {word}"
    _output_of("make", "-n", *arguments)


def _output_of(*words: str) -> str:
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
