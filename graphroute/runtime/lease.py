"""Who asks for a key: one process of those that share a cache (single-flight across processes).

```
process A   take("k") → True    asks the model, puts the answer, release("k")
process B   take("k") → False   looks into the cache again, and at last takes the lease itself
```

A lease names its process by pid, start and host. One whose process is gone, or whose time is over,
is free at once for the next that takes it. Nothing here blocks, and nothing fails: where the file
cannot be used, every process takes every lease, and an equal call may be made twice.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from graphroute.runtime.processes import Owner, lives, this_process

logger = logging.getLogger(__name__)

TTL_S: Final = 120.0
"""How long a lease holds unless it is renewed; a call that takes longer may be made twice."""

T = TypeVar("T")

_BUSY_S: Final = 0.05
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS leases (key TEXT PRIMARY KEY, token TEXT NOT NULL,"
    " host TEXT NOT NULL, pid INTEGER NOT NULL, born REAL NOT NULL, until REAL NOT NULL)"
    " WITHOUT ROWID"
)


class Leases:
    """Leases in the file at `path`; safe to share between threads.

    ttl_s: seconds (> 0) a lease holds; clock: the time all processes share

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = (Leases(Path(folder) / "leases.db") for _ in range(2))
    ...     print(one.take("k"), other.take("k"), other.is_held("k"))
    ...     one.release("k")
    ...     print(other.is_held("k"), other.take("k"))
    ...     one.close(), other.close()
    True False True
    False True
    (None, None)
    """

    def __init__(
        self, path: Path, *, ttl_s: float = TTL_S, clock: Callable[[], float] = time.time
    ) -> None:
        self.path, self._ttl_s, self._clock = path, ttl_s, clock
        self._token, self._host = secrets.token_hex(16), socket.gethostname()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inherited: tuple[sqlite3.Connection, ...] = ()
        self._owner = Owner(pid=0, born_s=0.0)
        self._has_warned = False

    def take(self, key: str) -> bool:
        """Whether the caller is to ask for `key`: nobody else does, or who did is gone.

        True again, and for longer, for one that holds the lease already.
        """

        def taken(db: sqlite3.Connection) -> bool:
            now = self._clock()
            if self._is_held(db, key, now, besides=self._token):
                return False
            owner, until = self._owner, now + self._ttl_s
            db.execute(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)",
                (key, self._token, self._host, owner.pid, owner.born_s, until),
            )
            return True

        return self._step(taken, otherwise=True)

    def renew(self, key: str) -> bool:
        """Hold a lease for longer; False where it has gone to another meanwhile."""

        def renewed(db: sqlite3.Connection) -> bool:
            query = "UPDATE leases SET until = ? WHERE key = ? AND token = ?"
            until = self._clock() + self._ttl_s
            return db.execute(query, (until, key, self._token)).rowcount > 0

        return self._step(renewed, otherwise=True)

    def release(self, key: str) -> None:
        """Give back a lease of one's own; of another's it does nothing."""
        query = "DELETE FROM leases WHERE key = ? AND token = ?"
        self._step(lambda db: db.execute(query, (key, self._token)), otherwise=None)

    def is_held(self, key: str) -> bool:
        """Whether somebody who is still there asks for `key`; writes nothing."""
        return self._step(
            lambda db: self._is_held(db, key, self._clock()), otherwise=False, writes=False
        )

    def close(self) -> None:
        """Give back all leases of one's own and close the file."""
        if self._connection is not None:
            query = "DELETE FROM leases WHERE token = ?"
            self._step(lambda db: db.execute(query, (self._token,)), otherwise=None)
        with self._lock:
            self._drop()

    def _is_held(self, db: sqlite3.Connection, key: str, now: float, *, besides: str = "") -> bool:
        query = "SELECT host, pid, born, until FROM leases WHERE key = ? AND token != ?"
        if (row := db.execute(query, (key, besides)).fetchone()) is None:
            return False
        host, pid, born, until = row
        if until < now or until > now + 10 * self._ttl_s:  # over, or by a clock that was wrong
            return False
        # Of a process on another machine it is not known whether it lives.
        return host != self._host or lives(Owner(pid=pid, born_s=born))

    def _step(
        self, do: Callable[[sqlite3.Connection], T], *, otherwise: T, writes: bool = True
    ) -> T:
        """`do` in one transaction; `otherwise` where the file cannot be used."""
        with self._lock:
            try:
                db = self._open()
                if not writes:
                    return do(db)
                db.execute("BEGIN IMMEDIATE")
                found = do(db)
                db.execute("COMMIT")
            except (sqlite3.Error, OSError) as fault:
                self._told(fault)
                self._drop()
                return otherwise
            return found

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._owner.pid != os.getpid():
            if self._connection is not None:
                # Closing a connection that came through a fork could break its owner's.
                self._inherited = (*self._inherited, self._connection)
                self._connection, self._token = None, secrets.token_hex(16)
            self._owner = this_process()
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            db = sqlite3.connect(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection = db
            db.execute("PRAGMA journal_mode = WAL")
            # A lease that is lost with the machine's power is a lease given back.
            db.execute("PRAGMA synchronous = OFF")
            db.execute(_SCHEMA)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None and self._owner.pid == os.getpid():
            self._connection.close()
            self._connection = None

    def _told(self, fault: Exception) -> None:
        level = logging.DEBUG if self._has_warned else logging.WARNING
        self._has_warned = True
        logger.log(
            level,
            "the leases in %r cannot be used, so equal calls may be made twice (%s)",
            str(self.path),
            fault,
        )
