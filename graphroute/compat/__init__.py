"""Doors for users of other projects: the same names, graphroute behind them."""

from __future__ import annotations
