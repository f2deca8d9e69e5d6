"""The node-output cache: what a node returned is given again while all it hangs on is unchanged."""

from __future__ import annotations
