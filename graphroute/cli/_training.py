"""What the commands about scorers share: names, weights, progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.protocols import TrainableScorer

Data = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="FILE",
        help="CSV or CSV.GZ, may be given several times: prompt,weak,strong; or id,prompt and "
        "id,model,correct together.",
    ),
]
Scorer = Annotated[str, typer.Option("--scorer", metavar="NAME", help="lexical, mf, similarity …")]
Seed = Annotated[int, typer.Option("--seed", help="For whatever is drawn at random.")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="DIR", help="Trained weights instead of the shipped ones."),
]


def untrained(name: str, **options: object) -> TrainableScorer:
    """A scorer to be fitted; `InvalidValue` where the family has nothing to train."""
    module = registry.load("scorers", name)
    _present(name, module)
    make = getattr(module, "untrained", None)
    if make is None:
        known = [n for n in registry.names("scorers") if _can_train(n)]
        raise InvalidValue(
            f"scorer {name!r} is not trained",
            name=name,
            next_step=f"scorers that are: {', '.join(known)}",
        )
    scorer: TrainableScorer = make(**options)
    return scorer


def trained(name: str, weights: Path | None) -> Any:
    """A scorer with its weights; those without any are built as they are."""
    if weights is None:
        return registry.build("scorers", name)
    return untrained(name).load(weights)


def family_of(weights: Path | None, scorer: str | None) -> str:
    """The family to use: as named, else as the weights' card says, else the default one."""
    if scorer is not None:
        return scorer
    if weights is None:
        return "lexical"
    from graphroute.scorers._store import read_card

    return str(read_card(weights).get("family"))


def _can_train(name: str) -> bool:
    return hasattr(registry.load("scorers", name), "untrained")


def _present(name: str, module: Any) -> None:
    if registry.missing(module):
        registry.build("scorers", name)  # raises, and says what to install


@contextmanager
def progress(label: str, *, is_quiet: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr, fed by `(what, share done)`; plain lines where stderr is no terminal."""
    if is_quiet:
        yield lambda _what, _done: None
        return
    if not sys.stderr.isatty():
        yield _Lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)

        def tell(what: str, done: float) -> None:
            bar.update(task, completed=done, description=f"{label}: {what}")

        yield tell


class _Lines:
    """A line for each further twentieth, so that a log shows that the work goes on."""

    def __init__(self, label: str) -> None:
        self._label, self._told = label, 0

    def __call__(self, what: str, done: float) -> None:
        part = int(done * 20)
        if part > self._told:
            self._told = part
            print(f"{self._label}: {what}, {done:.0%}", file=sys.stderr)
