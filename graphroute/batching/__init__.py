"""Batch policies: which calls wait for one another, and who takes the next free slot."""

from __future__ import annotations
