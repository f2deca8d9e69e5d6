"""Where answers are kept: one backend per file, behind `protocols.Cache`."""

from __future__ import annotations
