"""What several commands are told in the same way: TARGET, the pool, the limits."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from graphroute.errors import InvalidValue, TargetError
from graphroute.ir.hints import Objective

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        show_default=False,
        help="path.py:variable, package.module:variable, or a name in langgraph.json.",
    ),
]
BudgetUsd = Annotated[
    float | None, typer.Option("--budget", metavar="USD", help="Most that one run may spend.")
]
Goal = Annotated[str, typer.Option("--objective", metavar="NAME", help="quality, cost or latency.")]
Pool = Annotated[
    str | None,
    typer.Option(
        "--models",
        metavar="NAMES",
        help="Pool: 'auto', names such as ollama:llama3.2,openai:gpt-5-mini, or file.py:variable "
        "with a list of them. Without it: the models the graph already uses.",
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option("--deadline", metavar="SECONDS", help="Most that the longest path may take."),
]
Memory = Annotated[
    float | None,
    typer.Option(
        "--memory",
        metavar="GB",
        help="Most that local models may hold together. Without it: what this machine has free.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Write there instead of stdout.")
]


def objective(name: str) -> Objective:
    """The objective called `name`; `InvalidValue` if there is none."""
    if name not in ("quality", "cost", "latency"):
        raise InvalidValue(
            f"--objective {name}", value=name, next_step="use quality, cost or latency"
        )
    return name  # type: ignore[return-value]  # checked in the line above


def at_least_0(option: str, value: float | None) -> None:
    """`InvalidValue` for an amount that is no number ≥ 0; None is none."""
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise InvalidValue(f"{option} {value:g}", value=value, next_step="use a number ≥ 0")


def memory_bytes(gb: float | None) -> int | Literal["auto"]:
    """What `--memory` says, as `optimize(memory_limit_bytes=…)` takes it.

    >>> memory_bytes(1.5), memory_bytes(None)
    (1500000000, 'auto')
    """
    at_least_0("--memory", gb)
    return "auto" if gb is None else round(gb * 1e9)


def pool(text: str | None) -> Literal["auto"] | Sequence[Any] | None:
    """What `--models` says, as `optimize(models=…)` takes it.

    >>> pool("ollama:llama3.2, openai:gpt-5-mini")
    ['ollama:llama3.2', 'openai:gpt-5-mini']
    """
    if text is None:
        return None
    if text.strip() == "auto":
        return "auto"
    found: list[Any] = []
    for part in (part.strip() for part in text.split(",")):
        path, _, variable = part.rpartition(":")
        if path.endswith(".py"):
            found += _listed(Path(path), variable, part)
        elif part:
            found.append(part)
    if not found:
        raise InvalidValue(
            f"--models {text!r} names no model", value=text, next_step="use names or 'auto'"
        )
    return found


def _listed(path: Path, variable: str, label: str) -> list[Any]:
    """The list that a variable of a script holds."""
    file = path.resolve()
    if not file.is_file():
        raise TargetError(
            f"--models {label!r}: there is no file {file}", target=label, next_step="mend the path"
        )
    sys.path.insert(0, str(file.parent))
    try:
        # By plain name first: the graph's own script may have imported it so, and its models
        # must be the same objects.
        module = importlib.import_module(file.stem)
        if getattr(module, "__file__", None) != str(file):
            module = _module(file)
    except Exception as error:
        raise TargetError(
            f"--models {label!r}: importing it raised {type(error).__name__}: {error}",
            target=label,
            next_step="mend it, or name the models one by one",
        ) from None
    finally:
        sys.path.remove(str(file.parent))
    value = getattr(module, variable, None)
    if not isinstance(value, (list, tuple)) or not value:
        raise TargetError(
            f"--models {label!r} is no list of models but {type(value).__name__}",
            target=label,
            next_step="name a variable that holds model names, chat models or Model values",
        )
    return list(value)


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"graphroute_models_{file.stem}", file)
    if spec is None or spec.loader is None:  # pragma: no cover - the name ends in .py
        raise ImportError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
