"""What is kept of runs beyond the process, where, and for how long: `Store`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphroute.errors import InvalidValue

MAX_ROWS = 1_000_000
MAX_AGE_DAYS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """For `optimize(store=…)`: a folder, and what may be written there.

    folder: None is `GRAPHROUTE_HOME`, else the user's data folder
    records: keep a record of every call (numbers, names and hashes, no text)
    keep_text: keep prompts, answers and error texts as well; never those of private nodes
    max_rows, max_age_days: the oldest records beyond either are deleted

    >>> Store(keep_text=True, max_age_days=7).records
    True
    """

    folder: Path | str | None = None
    records: bool = True
    keep_text: bool = False
    max_rows: int = MAX_ROWS
    max_age_days: float = MAX_AGE_DAYS

    def __post_init__(self) -> None:
        folder = self.folder
        is_named = isinstance(folder, Path) or (isinstance(folder, str) and folder.strip() != "")
        if folder is not None and not is_named:
            # An empty name would be the folder that the process happens to be in.
            raise InvalidValue(
                f"Store folder={folder!r}",
                value=folder,
                next_step="name a folder, '.' for this one, or leave it out",
            )
        for name in ("records", "keep_text"):
            if not isinstance(value := getattr(self, name), bool):
                raise InvalidValue(
                    f"Store {name}={value!r}", value=value, next_step="use True or False"
                )
        rows, days = self.max_rows, self.max_age_days
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise InvalidValue(
                f"Store max_rows={rows!r}", value=rows, next_step="use a whole number ≥ 1"
            )
        if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 < days < 1e6:
            raise InvalidValue(
                f"Store max_age_days={days!r}", value=days, next_step="use a number of days > 0"
            )
