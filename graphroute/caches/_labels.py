"""What stands in a row for a key, its tags and its value: as they are, or sealed by a vault."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from graphroute.caches._vault import VARIABLE, Vault

logger = logging.getLogger(__name__)

MARK: Final = "graphroute.vault"
"""A row that holds a known text, sealed: it tells whether the key is the right one."""

_KNOWN: Final = b"graphroute.cache/1"


class Labels:
    """Names, tags and values as they are written.

    >>> labels = Labels(None)
    >>> labels.read_tag("k", labels.tag("k", {"node": "draft"}))
    ('k', {'node': 'draft'})
    """

    def __init__(self, vault: Vault | None) -> None:
        self.vault = vault

    def name(self, key: str) -> str:
        """The key of the row."""
        return key if self.vault is None else self.vault.name(key)

    def tag(self, key: str, tags: Mapping[str, str]) -> str:
        """The tag of the row."""
        if self.vault is None:
            return json.dumps(dict(tags))
        return self.vault.seal(json.dumps({"key": key, "tags": dict(tags)}).encode()).decode()

    def read_tag(self, name: str, tag: str) -> tuple[str, dict[str, str]]:
        """(key, tags) of a row; of one that cannot be read its name and nothing."""
        try:
            if self.vault is None:
                return name, _texts(json.loads(tag or "{}"))
            opened = self.vault.open(tag.encode())
            data = {} if opened is None else json.loads(opened)
            return str(data.get("key", name)), _texts(data.get("tags", {}))
        except (ValueError, AttributeError):
            return name, {}

    def seal(self, value: bytes) -> bytes:
        """The value of the row."""
        return bytes(value) if self.vault is None else self.vault.seal(value)

    def open(self, value: bytes) -> bytes | None:
        """The value that was put; None, and a warning, where it was not sealed with this key."""
        if self.vault is None:
            return value
        if (opened := self.vault.open(value)) is None:
            logger.warning("an entry of the cache was changed or sealed with another key")
        return opened

    def marked(self, mark: bytes | None, folder: Path) -> bytes | None:
        """Warn where the folder's mark is of another key; the mark to write, None if it is right.

        mark: what stands there, None if nothing does
        """
        if self.vault is None:
            if mark is not None:
                logger.warning(
                    "entries in %r are encrypted and not used: set %s", str(folder), VARIABLE
                )
            return None
        if mark is not None and self.vault.open(mark) == _KNOWN:
            return None
        if mark is not None:
            logger.warning(
                "entries in %r were encrypted with another key and are not used", str(folder)
            )
        return self.vault.seal(_KNOWN)


def _texts(tags: dict[object, object]) -> dict[str, str]:
    return {str(name): str(value) for name, value in tags.items()}
