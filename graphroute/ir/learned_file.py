"""Profile files: `LearnedProfile` ⇄ JSON with a version and a checksum.

>>> text = dump_profile(LearnedProfile())
>>> load_profile(text)
LearnedProfile(parts=())
>>> load_profile(text.replace("profile/1", "profile/9"))
Traceback (most recent call last):
    ...
graphroute.errors.InvalidValue: schema 'graphroute.profile/9' instead of 'graphroute.profile/1'; \
give a file of `graphroute profile export` of this version
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from graphroute.errors import InvalidValue
from graphroute.ir.learned import LearnedProfile, Moments, Part, Sums, disjoint

SCHEMA: Final = "graphroute.profile/1"

_STRICT: Final = ConfigDict(extra="forbid", allow_inf_nan=False)

MAX_BYTES: Final = 256 * 1024 * 1024
"""A run takes 15 bytes, a node × model of a day about 400; beyond this it is no profile."""


def dump_profile(profile: LearnedProfile) -> str:
    """JSON text, the same for the same profile."""
    parts = [asdict(part) for part in profile.parts]
    data = {"schema": SCHEMA, "sha256": _checksum(parts), "parts": parts}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def load_profile(text: str | bytes) -> LearnedProfile:
    """Read a profile back; `InvalidValue` names the first thing that is wrong with it."""
    if len(text) > MAX_BYTES:
        raise _refused(f"{len(text)} bytes, more than a profile can have")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise _refused(f"no JSON ({fault})") from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise InvalidValue(
            f"schema {found!r} instead of {SCHEMA!r}",
            value=found,
            next_step="give a file of `graphroute profile export` of this version",
        )
    parts = data.get("parts")
    try:
        checksum = _checksum(parts)
    except ValueError:
        checksum = ""
    if data.get("sha256") != checksum:
        raise _refused("its checksum is another: it was cut off or changed by hand")
    try:
        profile = _adapter().validate_json(json.dumps({"parts": parts}), strict=True)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _refused(f"damaged at {place}: {first['msg']}") from None
    # A file may say what it likes: no run counts twice all the same.
    return LearnedProfile(parts=disjoint(profile.parts))


@cache
def _adapter() -> TypeAdapter[LearnedProfile]:
    for kind in (Moments, Sums, Part, LearnedProfile):
        setattr(kind, "__pydantic_config__", _STRICT)  # noqa: B010 - the name pydantic looks for
    return TypeAdapter(LearnedProfile)


def _checksum(parts: Any) -> str:
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _refused(why: str) -> InvalidValue:
    return InvalidValue(
        f"this is no profile of graphroute: {why}",
        value=why,
        next_step="give a file of `graphroute profile export`",
    )
