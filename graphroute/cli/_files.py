"""Reading inputs and writing results: a file is written whole or not at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphroute.errors import InvalidValue
from graphroute.ir.whole_file import write_whole


def write(text: str, output: Path | None) -> None:
    """Write to `output`, replacing it in one step, or to stdout.

    A reader sees the old file or the new one; an interrupted command leaves the old one.
    """
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        write_whole(output, text.encode())
    except OSError as fault:
        raise InvalidValue(
            f"cannot write {str(output)!r} ({fault.strerror or fault})",
            value=str(output),
            next_step="give --output a file in a folder that exists and may be written",
        ) from None


def read_input(text: str) -> Any:
    """The value of `--input`: JSON, or `@file` with JSON in it.

    >>> read_input('{"question": "why?"}')
    {'question': 'why?'}
    """
    if text.startswith("@"):
        return _parse(_read(Path(text[1:])), f"--input {text}")
    return _parse(text, "--input")


def read_lines(path: Path) -> list[Any]:
    """The values of a JSONL file, one a line; empty lines do not count."""
    found = [
        _parse(line, f"{path}:{number}")
        for number, line in enumerate(_read(path).splitlines(), start=1)
        if line.strip()
    ]
    if not found:
        raise InvalidValue(
            f"{str(path)!r} has no inputs", value=str(path), next_step="write one JSON value a line"
        )
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not UTF-8 text"
        raise InvalidValue(
            f"cannot read {str(path)!r} ({reason})",
            value=str(path),
            next_step="give a file that exists and may be read",
        ) from None


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InvalidValue(
            f"{where} is not JSON ({fault})",
            value=text[:80],
            next_step="""write it like '{"question": "why?"}', or @file""",
        ) from None


def lines(values: Iterator[Any]) -> str:
    """JSONL text."""
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
