"""Checks of one answer: pure functions of the messages that were sent and the reply.

Users reach them as `graphroute.verify`; each is a small frozen value that can be called:
`check(messages, reply) -> Verdict`. `is_quick` marks those that neither wait nor compute long.
"""

from __future__ import annotations
