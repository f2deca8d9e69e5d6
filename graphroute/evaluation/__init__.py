"""Reading outcomes, measuring routers on them as RouteLLM does, and telling the result."""

from __future__ import annotations
