"""The fault of a value that has no canonical form, and so cannot be told from others."""

from __future__ import annotations


class Unkeyable(TypeError):
    """A value, or a part of it, has no canonical form; what hangs on it is not cached.

    path: where the part is, `""` for the value itself; why: in words

    >>> str(Unkeyable("an open file", path="['log']"))
    "['log']: an open file"
    """

    def __init__(self, why: str, *, path: str = "") -> None:
        self.why, self.path = why, path
        super().__init__(f"{path}: {why}" if path else why)

    def inside(self, step: str) -> Unkeyable:
        """The same fault, seen from what the value is a part of."""
        return type(self)(self.why, path=step + self.path)
