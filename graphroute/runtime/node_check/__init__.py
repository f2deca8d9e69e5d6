"""Check what a node returns (`verify_output=`), and run it again on another model if refused."""

from __future__ import annotations
