"""The command `graphroute`: one file per command, found by its name.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | refused: no plan keeps the limits, a budget was exceeded, a model or the graph failed |
| 2 | misuse: an argument, TARGET, model name or file that cannot be used |

Errors are one line on stderr that says what to do next; `--debug` shows the traceback as well.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from graphroute import __version__
from graphroute.errors import (
    GraphrouteError,
    InvalidValue,
    PlanMismatch,
    TargetError,
    UnknownModel,
    UnknownPrice,
)

ORDER = ("plan", "run", "models", "doctor", "report", "demo")
"""Commands in the order of the help; further ones follow by name."""

MISUSE = (InvalidValue, PlanMismatch, TargetError, UnknownModel, UnknownPrice)


def build() -> typer.Typer:
    """The application with every command file of this folder."""
    app = typer.Typer(
        name="graphroute",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help="Plan which model serves each step of a LangGraph graph, and run it by that plan.",
    )

    @app.callback()
    def _everywhere(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=_version)
        ] = False,
        debug: Annotated[
            bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")
        ] = False,
    ) -> None:
        """Plan which model serves each step of a LangGraph graph, and run it by that plan."""

    for name in command_names():
        import_module(f"graphroute.cli.{name}").register(app)
    return app


def command_names() -> tuple[str, ...]:
    """Files of this folder that register a command."""
    found = {
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if not path.stem.startswith("_") and "def register(" in path.read_text(encoding="utf-8")
    }
    known = tuple(name for name in ORDER if name in found)
    return known + tuple(sorted(found - set(ORDER)))


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """The exit code of one command; nothing but `SystemExit` of a broken pipe leaves here."""
    # Taken out here so that it may also stand after the command's name.
    words = [word for word in argv if word != "--debug"]
    is_debug = len(words) < len(argv) or bool(os.environ.get("GRAPHROUTE_DEBUG"))
    try:
        build()(args=words, prog_name="graphroute")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        return _told("interrupted", 130, is_debug=False)
    except BrokenPipeError:
        # The reader has seen enough (`graphroute plan … | head`); Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except GraphrouteError as error:
        return _told(str(error), 2 if isinstance(error, MISUSE) else 1, is_debug=is_debug)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        text = f"{type(error).__name__}: {first}" if first else type(error).__name__
        more = "" if is_debug else " (run again with --debug to see where)"
        return _told(text + more, 1, is_debug=is_debug)
    return 0


def _told(text: str, code: int, *, is_debug: bool) -> int:
    if is_debug:
        traceback.print_exc()
    print(f"graphroute: {text}", file=sys.stderr)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        print(f"graphroute {__version__}")
        raise typer.Exit()
