"""The arguments with which an application on Ray Serve is built."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

from fer_jax.errors import FerError
from server.access.options import check_usable
from server.settings import Limits

BODY_BYTES = 64 * 2**20  # Ray Serve buffers a whole body, however slowly it is read here

# An image whose replica dies is scored again within its deadline.
_LIMITS = Limits(request_deadline_s=10.0, uploads=64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Serving:
    """Settings of the application.

    Attributes:
        checkpoint: a shipped name, a workdir or a checkpoint folder that every node has; None for the
            default network.
        digest: of the network that every node must have; "" for any.
        replicas: how many processes score.
        cores: that each of them takes.
        token: that visitors need; "" for none.
        jpeg_quality: of marked images, 1 to 100.
        limits: of a request; of `Limits`, what concerns images.
    """

    checkpoint: str | None = None
    digest: str = ""
    replicas: int = 2
    cores: int = 1
    token: str = dataclasses.field(default="", repr=False)
    jpeg_quality: int = 80
    limits: Limits = _LIMITS


def from_arguments(
    arguments: Mapping[str, Any], *, environment: Mapping[str, str] = os.environ
) -> Serving:
    """Reads the arguments of `serve run` or of a configuration file, and $FER_TOKEN.

    Args:
        arguments: `checkpoint`, `replicas`, `cores` and `deadline_s`, as numbers or as text.
        environment: may hold FER_TOKEN.

    Raises:
        FerError: an argument that is not known, or a value that cannot be used.
    """
    unknown = sorted(set(arguments) - {"checkpoint", "replicas", "cores", "deadline_s"})
    if unknown:
        raise FerError(f"{unknown[0]}: expected one of checkpoint, replicas, cores, deadline_s")
    token = environment.get("FER_TOKEN", "")
    check_usable("the token", token)
    usual = Serving()
    deadline_s = _number(
        arguments, "deadline_s", usual.limits.request_deadline_s, read=float, least=0.1
    )
    return dataclasses.replace(
        usual,
        checkpoint=arguments.get("checkpoint"),
        replicas=_number(arguments, "replicas", usual.replicas, read=int, least=1),
        cores=_number(arguments, "cores", usual.cores, read=int, least=1),
        token=token,
        limits=dataclasses.replace(usual.limits, request_deadline_s=deadline_s),
    )


def _number(
    arguments: Mapping[str, Any],
    name: str,
    usual: Any,
    *,
    read: Callable[[Any], Any],
    least: float,
) -> Any:
    given = arguments.get(name, usual)
    try:
        number = read(given)
    except (TypeError, ValueError):
        number = None
    if number is None or not least <= number < float("inf"):
        raise FerError(f"{name}={given}: expected a number, {least:g} or more")
    return number
