"""`graphroute cache`: what is kept, why a key was or was not found, and forgetting it."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from graphroute import registry
from graphroute.cli import _options
from graphroute.cli._files import write
from graphroute.errors import InvalidValue
from graphroute.ir.cache import CacheEntry
from graphroute.keeping import home
from graphroute.protocols import Cache
from graphroute.runtime.near_miss import FACETS, differences, facets_of, nearest

SCHEMA = "graphroute.cache/1"
FOLDER = "cache"
"""Where the entries lie in the store folder."""

Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FOLDER",
        show_default=False,
        help="The folder given to optimize(store=…); default GRAPHROUTE_HOME or the user's data.",
    ),
]
Node = Annotated[
    str | None,
    typer.Option("--node", metavar="NAME", help="Only entries of this node and what is below it."),
]


def register(app: typer.Typer) -> None:
    """Add the command and its three parts."""
    group = typer.Typer(
        no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=command.__doc__
    )
    group.callback()(command)
    group.command("stats")(stats)
    group.command("explain")(explain)
    group.command("clear")(clear)
    app.add_typer(group, name="cache")


def command() -> None:
    """Look into the cache of answers on disk: what is kept, why a key missed; and clear it."""


def stats(
    node: Node = None,
    store: Store = None,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Count entries, bytes and hits, in all and by node."""
    cache = _opened(store)
    totals, entries = cache.stats(), cache.entries(node)
    nodes = _by_node(entries)
    cache.close()
    if as_json or output is not None:
        data = {
            "schema": SCHEMA,
            "folder": str(_folder(store)),
            "entries": len(entries),
            "size_bytes": sum(entry.size_bytes for entry in entries),
            "limit_bytes": totals.limit_bytes,
            "hits": totals.hits,
            "misses": totals.misses,
            "faults": totals.faults,
            "nodes": nodes,
        }
        write(json.dumps(data, indent=2) + "\n", output)
        return
    limit = "" if totals.limit_bytes is None else f" of {_size(totals.limit_bytes)}"
    size = sum(entry.size_bytes for entry in entries)
    lines = [
        f"{len(entries)} entries, {_size(size)}{limit} in {_folder(store)}",
        f"{totals.hits} hits and {totals.misses} misses: {totals.hit_share:.0%} found",
    ]
    if nodes:
        width = max(len(row["node"]) for row in nodes)
        lines.append(f"{'node':<{width}}  entries      size    hits  last used")
        lines += [
            f"{row['node']:<{width}}  {row['entries']:>7}  {_size(row['size_bytes']):>8}"
            f"  {row['hits']:>6}  {_ago(row['used_s'])}"
            for row in nodes
        ]
    write("\n".join(lines) + "\n", None)


def explain(
    key: Annotated[
        str, typer.Argument(metavar="KEY", show_default=False, help="A key, or how it begins.")
    ],
    store: Store = None,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Show an entry, and in which parts it differs from the nearest other one of its node."""
    cache = _opened(store)
    entries = cache.entries()
    cache.close()
    entry = _found(key, entries, _folder(store))
    facets = facets_of(entry)
    others = [each for each in entries if each.tags.get("node") == entry.tags.get("node")]
    near = nearest(facets, others, besides=entry.key)
    told = () if near is None else differences(facets, near, tags=entry.tags)
    if as_json or output is not None:
        data = {
            "schema": SCHEMA,
            **_shown(entry),
            "facets": dict(facets),
            "nearest": None if near is None else near.key,
            "differences": list(told),
        }
        write(json.dumps(data, indent=2) + "\n", output)
        return
    lines = [f"{name:<10} {value}" for name, value in _words(entry).items()]
    if near is None:
        lines.append("nearest    none: this node has no other entry to compare with")
    else:
        lines.append(f"nearest    {near.key[:16]}, kept {_ago(near.created_s)}; it differs in")
        lines += [f"           - {line}" for line in told] or [
            "           - nothing that is noted: one of them is no call of a model"
        ]
    write("\n".join(lines) + "\n", None)


def clear(
    node: Node = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="AGE", help="Only entries kept before that: 90s, 30m, 12h, 7d."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many would go, and keep them.")
    ] = False,
    store: Store = None,
    as_json: _options.Json = False,
) -> None:
    """Forget entries: all of them, those of a node, or old ones."""
    age_s = None if older_than is None else age(older_than)
    cache = _opened(store)
    count = cache.clear(node=node, older_than_s=age_s, dry_run=dry_run)
    cache.close()
    if as_json:
        data = {"schema": SCHEMA, "cleared": count, "dry_run": dry_run}
        write(json.dumps(data, indent=2) + "\n", None)
        return
    kept = "would be forgotten (dry run)" if dry_run else "forgotten"
    write(f"{count} {'entry' if count == 1 else 'entries'} {kept} in {_folder(store)}\n", None)


def age(text: str) -> float:
    """Seconds in an age: a number with s, m, h or d.

    >>> age("90s"), age("1.5h"), age("7d")
    (90.0, 5400.0, 604800.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if found is None:
        raise InvalidValue(
            f"--older-than {text!r}", value=text, next_step="write a number and s, m, h or d: 7d"
        )
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}[found[2]]


def _folder(store: Path | None) -> Path:
    return (home() if store is None else store) / FOLDER


def _opened(store: Path | None) -> Cache:
    built = registry.build("caches", "disk", folder=_folder(store))
    assert isinstance(built, Cache)
    return built


def _found(key: str, entries: Sequence[CacheEntry], folder: Path) -> CacheEntry:
    found = [entry for entry in entries if entry.key.startswith(key)] if key else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise InvalidValue(
            f"no entry in {str(folder)!r} has a key that begins with {key!r}",
            value=key,
            next_step="it was never kept, or has been forgotten; "
            "`graphroute cache stats` shows which nodes have entries",
        )
    raise InvalidValue(
        f"{len(found)} keys begin with {key!r}",
        value=key,
        next_step=f"give more of it: {', '.join(entry.key[:20] for entry in found[:4])}",
    )


def _by_node(entries: Sequence[CacheEntry]) -> list[dict[str, Any]]:
    groups: dict[str, list[CacheEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.tags.get("node") or "?"].append(entry)
    return [
        {
            "node": name,
            "entries": len(group),
            "size_bytes": sum(entry.size_bytes for entry in group),
            "hits": sum(entry.hits for entry in group),
            "used_s": max(entry.used_s for entry in group),
        }
        for name, group in sorted(groups.items())
    ]


def _shown(entry: CacheEntry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "tags": {name: text for name, text in entry.tags.items() if name != FACETS},
        "size_bytes": entry.size_bytes,
        "created_s": entry.created_s,
        "used_s": entry.used_s,
        "expires_s": entry.expires_s,
        "hits": entry.hits,
    }


def _words(entry: CacheEntry) -> Mapping[str, str]:
    told = {"key": entry.key}
    told |= {name: text for name, text in sorted(entry.tags.items()) if name != FACETS}
    told |= {
        "size": _size(entry.size_bytes),
        "kept": _ago(entry.created_s),
        "used": f"{entry.hits} times, last {_ago(entry.used_s)}",
    }
    if entry.expires_s is not None:
        told["until"] = datetime.fromtimestamp(entry.expires_s, UTC).isoformat(timespec="seconds")
    return told


def _size(count: int) -> str:
    """Bytes for people.

    >>> _size(999), _size(2048), _size(1 << 30)
    ('999 B', '2.0 KiB', '1.0 GiB')
    """
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _ago(at_s: float) -> str:
    seconds = max(0.0, time.time() - at_s)
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
