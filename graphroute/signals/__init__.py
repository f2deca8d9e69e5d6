"""Signals: what this machine is like now, one plugin per file."""

from __future__ import annotations
