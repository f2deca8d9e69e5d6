"""CSV files as people have them: plain or gzip, any size, with a clear word where one is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from graphroute.errors import InvalidValue

csv.field_size_limit(1 << 26)


class Row(dict[str, str]):
    """One row by column name, with the number of the file's line that it ends on."""

    line: int = 0


@contextmanager
def rows_of(path: Path, needed: tuple[str, ...] = ()) -> Iterator[Iterator[Row]]:
    """The rows of a CSV file by column name; `needed` columns must be there."""
    try:
        with path.open("rb") as raw:
            is_gzip = raw.peek(2)[:2] == b"\x1f\x8b"
            packed = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            text = io.TextIOWrapper(packed, encoding="utf-8-sig", newline="")
            reader = csv.DictReader(text)
            header = tuple(reader.fieldnames or ())
            if lacking := [name for name in needed if name not in header]:
                raise InvalidValue(
                    f"{path.name!r} has no column {', '.join(map(repr, lacking))}",
                    path=str(path),
                    columns=header,
                    next_step=f"its columns are {', '.join(header) or 'none'}",
                )
            yield _complete(reader, path, needed)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, InvalidValue):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidValue(
            f"cannot read {path.name!r} ({reason})",
            path=str(path),
            next_step="give a readable CSV file in UTF-8, plain or gzip",
        ) from error


def _complete(reader: csv.DictReader[str], path: Path, needed: tuple[str, ...]) -> Iterator[Row]:
    for cells in reader:
        row = Row(cells)
        row.line = reader.line_num
        if any(row.get(name) is None for name in needed):
            raise InvalidValue(
                f"{path.name!r} line {reader.line_num} has too few columns",
                path=str(path),
                line=reader.line_num,
                next_step="mend the line; a text with commas needs quotes",
            )
        yield row


def header_of(path: Path) -> tuple[str, ...]:
    """The names of the columns."""
    with rows_of(path) as rows:
        reader = rows
        first = next(reader, None)
    if first is not None:
        return tuple(name for name in first if name is not None)
    raise InvalidValue(
        f"{path.name!r} has no rows", path=str(path), next_step="give a file with data"
    )


def number(row: Mapping[str, str], name: str, path: Path) -> float:
    """A cell as a number; `True`/`False` count as 1 and 0, an empty cell or `nan` is NaN."""
    text = row[name].strip()
    lowered = text.lower()
    if lowered in ("true", "false"):
        return 1.0 if lowered == "true" else 0.0
    if not text:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise refused(row, name, path, "write numbers, or leave the cell empty")
    return value


def refused(row: Mapping[str, str], name: str, path: Path, next_step: str) -> InvalidValue:
    """The error for a cell that cannot be used: it names file, line, column and value."""
    line, text = getattr(row, "line", 0), row[name].strip()
    where = f" line {line}" if line else ""
    return InvalidValue(
        f"{path.name!r}{where} has {text!r} in column {name!r}",
        path=str(path),
        line=line,
        column=name,
        value=text,
        next_step=next_step,
    )
