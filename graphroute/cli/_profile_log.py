"""`graphroute profile log`, `undo`, `retrain`: what learning has put in use, and one step back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphroute.cli import _options
from graphroute.cli._files import write
from graphroute.cli.report import Folder

if TYPE_CHECKING:
    from graphroute.protocols import PromptScorer
    from graphroute.retraining import Attempt
    from graphroute.store.promotions import Entry, Promotions

LOG = "graphroute.promotions/1"
ATTEMPT = "graphroute.retraining/1"

_KINDS = {
    "promoted": "put in use",
    "kept": "tried, not better",
    "undone": "undone",
    "planned": "planned again",
}


def log(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="The latest entries, at most.")
    ] = 20,
    store: Folder = None,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Print what learning has put in use, tried in vain, planned again, and what was undone."""
    entries = _log_of(store).entries()[-limit:]
    if as_json or output is not None:
        rows = [{**_row(entry), "facts": dict(entry.facts)} for entry in entries]
        write(json.dumps({"schema": LOG, "entries": rows}, indent=2) + "\n", output)
        return
    write("".join(f"{_line(entry)}\n" for entry in entries) or "nothing was promoted here\n", None)


def undo(
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="The reason, for the log.")
    ] = "by hand",
    store: Folder = None,
    as_json: _options.Json = False,
) -> None:
    """Take back the last promotion; again, the one before it. Graphs follow at their next plan."""
    from graphroute.store import promotions

    taken = promotions.undo(_log_of(store), why=why)
    if as_json:
        write(json.dumps({"undone": None if taken is None else _row(taken)}) + "\n", None)
    elif taken is None:
        write("there is no promotion to undo\n", None)
    else:
        entries = _log_of(store).entries()
        now = promotions.in_use(entries, taken.subject) or "what ships"
        write(f"{taken.subject}: {taken.new} is undone, {now} is in use\n", None)
    if taken is None:
        raise typer.Exit(1)


def retrain(
    scorer: Annotated[
        str, typer.Option("--scorer", metavar="NAME", help="The prompt scorer to adapt.")
    ] = "lexical",
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be put in use, and do nothing.")
    ] = False,
    store: Folder = None,
    as_json: _options.Json = False,
) -> None:
    """Adapt a prompt scorer to this store's judged answers; use it if better on the latest ones."""
    from graphroute.ir.storage import Store
    from graphroute.keeping import folder, record_store
    from graphroute.retraining import retrain

    options = Store(folder=store)
    records = record_store(options)
    assert records is not None
    done = retrain(records, folder(options), _built(scorer), is_dry=is_dry)
    if as_json:
        write(json.dumps(_attempt(done, is_dry=is_dry), indent=2) + "\n", None)
        return
    in_use = done.version or "what ships"
    verb = "would be put in use" if is_dry else "is in use now"
    last = f"the adapted one {verb}" if done.is_promoted else f"it stays as it is ({in_use})"
    write(f"{scorer}, {done.answers:,} judged answers: {done.why}; {last}\n", None)


def _built(name: str) -> PromptScorer:
    from graphroute import registry
    from graphroute.errors import InvalidValue
    from graphroute.protocols import PromptScorer

    scorer = registry.build("scorers", name)
    if not isinstance(scorer, PromptScorer):
        raise InvalidValue(
            f"--scorer {name}: it scores no prompts", value=name, next_step="use lexical or mf"
        )
    return scorer


def _log_of(store: Path | None) -> Promotions:
    from graphroute.keeping import home
    from graphroute.store.promotions import FILE, Promotions

    return Promotions((store or home()) / FILE)


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": datetime.fromtimestamp(entry.at_s, UTC).isoformat(timespec="seconds"),
        "kind": entry.kind,
        "subject": entry.subject,
        "old": entry.old,
        "new": entry.new,
        "why": entry.why,
    }


def _line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at_s, UTC).strftime("%Y-%m-%d %H:%M")
    old, new = entry.old or "what ships", entry.new or "what ships"
    change = new if entry.kind == "kept" else f"{old} -> {new}"
    by = f", by {entry.facts['by']}" if "by" in entry.facts else ""
    return f"{at}  {entry.subject}: {_KINDS[entry.kind]}: {change}; {entry.why}{by}"


def _attempt(done: Attempt, *, is_dry: bool) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": ATTEMPT,
        "is_promoted": done.is_promoted,
        "is_dry": is_dry,
        "version": done.version,
        "answers": done.answers,
        "why": done.why,
        "gain": None if done.gain is None else asdict(done.gain),
    }
