"""Trained weights on disk: `weights.npz` with plain arrays, and `card.json` that vouches for it.

The card names the family, the format and the SHA-256 of the weights, and tells people where they
are from. Nothing is ever unpickled: a file that wants to be is foreign and refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.whole_file import write_whole

FORMAT: Final = "graphroute.scorer/1"
_LARGEST = 1 << 30


def write(
    folder: Path, family: str, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, object]
) -> None:
    """Write arrays and card under `folder`; each file whole or not at all, the card last."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    weights = buffer.getvalue()
    facts = {
        **card,
        "format": FORMAT,
        "family": family,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "weights.npz", weights)
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    write_whole(folder / "card.json", (text + "\n").encode())


def read(folder: Path, family: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the card; `InvalidValue` if missing, damaged, tampered with or foreign."""
    card = read_card(folder)
    if card.get("family") != family:
        raise _refused(folder, f"holds a scorer of family {card.get('family')!r}, not {family!r}")
    path = folder / "weights.npz"
    try:
        if path.stat().st_size > _LARGEST:
            raise _refused(folder, f"is larger than {_LARGEST:,} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise _refused(folder, f"cannot be read ({error.strerror})") from error
    if hashlib.sha256(raw).hexdigest() != card.get("sha256"):
        raise _refused(folder, "does not have the checksum its card states")
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise _refused(folder, "is no archive of plain arrays") from error
    return arrays, card


def read_card(folder: Path) -> dict[str, Any]:
    """The card of the weights in `folder`."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(folder, f"has no readable card.json ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _refused(folder, "has a damaged card.json") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise _refused(folder, f"is not of format {FORMAT!r}")
    return card


def array(
    arrays: Mapping[str, NDArray[Any]], name: str, *, ndim: int, folder: Path
) -> NDArray[Any]:
    """The finite numeric array called `name`; `InvalidValue` if absent or of another shape."""
    value = arrays.get(name)
    if value is None or value.ndim != ndim or value.dtype.kind not in "fiu":
        raise _refused(folder, f"has no array {name!r} of {ndim} dimensions")
    if not np.isfinite(value).all():
        raise _refused(folder, f"has values that are not finite in {name!r}")
    return value


def _refused(folder: Path, what: str) -> InvalidValue:
    return InvalidValue(
        f"weights in {folder.name!r}: weights.npz {what}",
        path=str(folder),
        next_step="train again or take the weights from where they came from",
    )
