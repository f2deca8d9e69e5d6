"""Encryption of what is written to disk, with a key from the environment or the keyring.

Values and tags are sealed with Fernet (AES-128 in CBC mode with HMAC-SHA256, package
`cryptography`), so they can neither be read nor forged without the key. Keys of entries are hashes
of prompts, by which a guessed prompt could be confirmed; so they are hashed again with the secret.
What still shows is how many entries there are, how large they are and when they were used.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from graphroute.errors import InvalidValue, ProviderUnavailable

logger = logging.getLogger(__name__)

VARIABLE: Final = "GRAPHROUTE_CACHE_KEY"
_RING: Final = ("graphroute", "cache")
_MAKE: Final = (
    "make one by: python -c 'from cryptography.fernet import Fernet; "
    "print(Fernet.generate_key().decode())'"
)


class Vault:
    """Seals bytes with one key: 32 random bytes in URL-safe base 64."""

    def __init__(self, key: str) -> None:
        if find_spec("cryptography") is None:
            raise ProviderUnavailable(
                "a key for the cache is given, and encrypting needs cryptography",
                next_step="pip install 'graphroute[encrypt]'",
            )
        from cryptography.fernet import Fernet

        try:
            self._fernet = Fernet(key)
        except (ValueError, TypeError):
            # Not shown: it may be almost the right one.
            raise InvalidValue(
                f"the key for the cache ({VARIABLE}) is not 32 bytes in base 64",
                next_step=_MAKE,
            ) from None
        self._secret = hashlib.sha256(b"graphroute.cache.names:" + key.encode()).digest()

    def name(self, key: str) -> str:
        """What an entry is called on disk.

        >>> vault = Vault("A" * 43 + "=")
        >>> vault.name("k") == vault.name("k"), "k" in vault.name("k")
        (True, False)
        """
        return hmac.new(self._secret, key.encode(), hashlib.sha256).hexdigest()

    def seal(self, value: bytes) -> bytes:
        """`value`, encrypted."""
        return self._fernet.encrypt(value)

    def open(self, sealed: bytes) -> bytes | None:
        """What was sealed; None where it was sealed with another key, or has been changed.

        >>> vault, other = Vault("A" * 43 + "="), Vault("B" * 43 + "=")
        >>> vault.open(vault.seal(b"answer")), other.open(vault.seal(b"answer"))
        (b'answer', None)
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            return None


def find_key() -> str | None:
    """The key in the environment, else in the keyring if the package keyring is there; or None."""
    if stated := os.environ.get(VARIABLE):
        return stated
    if find_spec("keyring") is None:
        return None
    try:
        found: str | None = import_module("keyring").get_password(*_RING)
    except Exception as fault:  # no backend, locked, or refused: as many kinds as systems
        logger.info("the keyring has no key for the cache: %s", fault)
        return None
    return found or None
