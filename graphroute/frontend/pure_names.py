"""What is known to be pure: its result hangs on its arguments alone, and nothing else changes.

Only what is listed counts. What reads a clock, a random source, the environment or a file, what
writes anywhere, and what is merely not known, is not here.
"""

from __future__ import annotations

import builtins
from typing import Final

BUILTINS: Final = frozenset(
    getattr(builtins, name)
    for name in (
        "abs", "all", "any", "ascii", "bin", "bool", "bytearray", "bytes", "callable", "chr",
        "complex", "dict", "divmod", "enumerate", "filter", "float", "format", "frozenset",
        "hasattr", "hex", "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max",
        "min", "oct", "ord", "pow", "range", "repr", "reversed", "round", "set", "slice", "sorted",
        "str", "sum", "tuple", "type", "zip",
    )
)  # fmt: skip

MODULES: Final = frozenset(
    {"base64", "binascii", "bisect", "cmath", "collections", "colorsys", "difflib", "fractions",
     "heapq", "html", "itertools", "keyword", "math", "numbers", "operator", "re", "re._compiler",
     "statistics", "string", "struct", "textwrap", "unicodedata", "zlib", "_operator", "_bisect",
     "_heapq", "_struct", "_collections", "_statistics", "decimal", "_decimal",
     "urllib.parse", "ast", "_ast"}
)  # fmt: skip
"""Modules of the standard library all of whose functions and classes are pure, but `IN_PLACE`."""

IN_PLACE: Final = frozenset(
    {"heappush", "heappop", "heapify", "heapreplace", "heappushpop", "_heapify_max",
     "_heappop_max", "_heapreplace_max", "heapify_max", "heappush_max", "heappop_max",
     "heapreplace_max", "heappushpop_max", "insort", "insort_left", "insort_right", "setitem",
     "delitem", "iadd", "iand", "iconcat", "ifloordiv", "ilshift", "imatmul", "imod", "imul", "ior",
     "ipow", "irshift", "isub", "itruediv", "ixor", "methodcaller", "call", "pack_into"}
)  # fmt: skip
"""Functions of these modules that change what they are given, or call what it has."""

NAMED: Final = frozenset(
    {("json", "loads"), ("json", "dumps"), ("copy", "copy"), ("copy", "deepcopy"),
     ("dataclasses", "replace"), ("dataclasses", "asdict"), ("dataclasses", "astuple"),
     ("functools", "reduce"), ("_functools", "reduce"), ("functools", "partial"),
     ("typing", "cast"), ("datetime", "timedelta"), ("datetime", "date"), ("datetime", "datetime"),
     ("datetime", "date.fromisoformat"), ("datetime", "datetime.fromisoformat"),
     ("_hashlib", "openssl_sha256"), ("_hashlib", "openssl_md5"), ("_hashlib", "openssl_sha1"),
     ("enum", "Enum"), ("uuid", "UUID"), ("uuid", "uuid5"), ("uuid", "uuid3"),
     ("langgraph.graph.message", "add_messages"),
     ("langchain_core.messages.utils", "filter_messages"),
     ("langchain_core.messages.utils", "get_buffer_string"),
     ("langchain_core.messages.utils", "merge_message_runs"),
     ("langchain_core.messages.utils", "convert_to_messages")}
)  # fmt: skip
"""Single functions and classes, by module and qualified name."""

READS: Final = frozenset(
    {"as_integer_ratio", "bit_length", "capitalize", "casefold", "center", "conjugate", "copy",
     "count", "date", "decode", "difference", "digest", "elements", "encode", "end", "endswith",
     "expandtabs", "find", "findall", "finditer", "format", "format_map", "fromhex", "fullmatch",
     "get", "group", "groupdict", "groups", "hex", "hexdigest", "index", "intersection",
     "is_integer", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isdisjoint",
     "isidentifier", "islower", "isnumeric", "isoformat", "isprintable", "isspace", "issubset",
     "issuperset", "istitle", "isupper", "items", "join", "keys", "ljust", "lower", "lstrip",
     "match", "most_common", "partition", "removeprefix", "removesuffix", "replace", "rfind",
     "rindex", "rjust", "rpartition", "rsplit", "rstrip", "search", "span", "split", "splitlines",
     "start", "startswith", "strftime", "strip", "sub", "subn", "swapcase",
     "symmetric_difference", "timetuple", "title", "total", "total_seconds", "translate", "union",
     "upper", "values", "weekday", "isoweekday", "zfill", "model_dump", "model_dump_json",
     "pretty_repr", "text"}
)  # fmt: skip
"""Methods of built-in values, dates, matches and messages that change nothing."""

CHANGES: Final = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert",
     "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "rotate",
     "setdefault", "sort", "subtract", "symmetric_difference_update", "difference_update",
     "update"}
)  # fmt: skip
"""Methods that change what they are called on: pure on what the function itself has made."""

ASKS: Final = frozenset({"invoke", "ainvoke", "stream", "astream", "batch", "abatch"})
"""How a chat model, prompt or chain is run."""

BINDS: Final = frozenset(
    {"bind", "bind_tools", "with_structured_output", "with_retry", "with_fallbacks", "pipe",
     "assign", "pick", "with_types", "partial"}
)  # fmt: skip
"""How another runnable is made of one."""

FORMATS: Final = frozenset(
    {"format", "format_messages", "format_prompt", "aformat_messages", "aformat_prompt",
     "to_messages", "to_string", "parse", "get_format_instructions", "aparse"}
)  # fmt: skip
"""What prompts and parsers do besides."""
