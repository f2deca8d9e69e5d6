"""Tell what kind of thing an object is, by its true type alone.

Everything a node can hold falls into one of few kinds; what is none of them is `"other"` and is
followed only where the code names an attribute of it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Hashable
from concurrent.futures import Executor
from threading import Thread
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Final, Literal, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel

from graphroute.frontend.attributes import bases, derives, is_a, module_of
from graphroute.frontend.prompts import PROMPT_TYPES

Kind = Literal[
    "model", "configurable", "text_model", "tool", "graph", "remote", "prompt", "toolnode",
    "runnable", "function", "method", "partial", "task", "sdk", "thread", "container", "plain",
    "class", "builtin", "other",
]  # fmt: skip

SDK_ROOTS: Final = frozenset(
    {"openai", "anthropic", "ollama", "groq", "mistralai", "cohere", "litellm", "together",
     "replicate", "fireworks", "xllamacpp", "llama_cpp", "huggingface_hub", "zhipuai"}
)  # fmt: skip
"""Packages whose clients call models past LangChain, where no call can be seen."""

LIBRARY_ROOTS: Final = frozenset(
    {"langchain_core", "langgraph", "langgraph_sdk", "langsmith", "pydantic", "pydantic_core",
     "typing_extensions", "httpx", "requests", "aiohttp", "numpy", "pandas", "torch", "sqlalchemy",
     "tenacity", "jinja2", "yaml", "redis", "psycopg"}
)  # fmt: skip
"""Packages whose functions are not read: they call no model that was not handed to them."""

_PLAIN: Final = (str, bytes, int, float, complex, bool, type(None))


def kind_of(value: object) -> Kind:
    """The kind of a value; the first that fits, from the most telling to the least."""
    cls = type(value)
    if cls in _PLAIN:
        return "plain"
    if cls is FunctionType:
        return "function"
    if cls is MethodType:
        return "method"
    if cls in (dict, list, tuple, set, frozenset):
        return "container"
    if is_a(value, type):
        return "class"
    if is_a(value, functools.partial):
        return "partial"
    if cls is BuiltinFunctionType:
        return "builtin"
    return _kind_of_instance(cast("Hashable", cls))


@functools.lru_cache(maxsize=4096)
def _kind_of_instance(key: Hashable) -> Kind:
    cls = cast("type", key)
    order = bases(cls)
    names = {(base.__name__, base.__module__.partition(".")[0]) for base in order}

    def has(*classes: type) -> bool:
        return any(base is wanted for base in order for wanted in classes)

    rules: tuple[tuple[bool, Kind], ...] = (
        (has(BaseChatModel), "model"),
        (("_ConfigurableModel", "langchain") in names, "configurable"),
        (has(BaseLLM), "text_model"),
        (has(BaseTool), "tool"),
        (has(Pregel), "graph"),
        (("RemoteGraph", "langgraph") in names, "remote"),
        (has(*PROMPT_TYPES), "prompt"),
        (("ToolNode", "langgraph") in names, "toolnode"),
        (has(Runnable), "runnable"),
        (("_TaskFunction", "langgraph") in names, "task"),
        (has(Executor, Thread), "thread"),
        (cls.__module__.partition(".")[0] in SDK_ROOTS, "sdk"),
    )
    return next((kind for fits, kind in rules if fits), "other")


def is_goal(value: object) -> bool:
    """Whether an attribute chain ends here: what follows is done to this thing, not found on it."""
    return kind_of(value) in (
        "model", "configurable", "text_model", "tool", "graph", "remote", "prompt", "toolnode",
        "runnable", "task", "sdk", "thread", "container", "plain", "function", "method",
    )  # fmt: skip


def is_library(function: FunctionType) -> bool:
    """Whether a function belongs to the standard library or to a package that is not read.

    Functions made inside a call are read wherever they were written: prebuilt agents are such.
    """
    if "<locals>" in function.__qualname__:
        return False
    root = module_of(function).partition(".")[0]
    return root in _unread() or (root in sys.stdlib_module_names and root != "__main__")


def is_model_class(value: object) -> bool:
    """Whether calling this makes a chat model."""
    return derives(value, BaseChatModel)


def is_sdk_client_class(value: object) -> bool:
    """Whether calling this makes a client of a model provider's own package."""
    if not is_a(value, type) or derives(value, BaseException):
        return False
    name = value.__name__  # type: ignore[attr-defined]
    is_client = any(
        word in name
        for word in (
            "Client",
            "OpenAI",
            "Anthropic",
            "Groq",
            "Llama",
            "Mistral",
            "Together",
            "Cohere",
        )
    )
    return is_client and module_of(value).partition(".")[0] in SDK_ROOTS


def starts_threads(value: object) -> bool:
    """Whether this is a thread pool or thread, or a class whose call makes one."""
    return derives(value, Executor, Thread) or is_a(value, Executor, Thread)


@functools.lru_cache(maxsize=1)
def _unread() -> frozenset[str]:
    return (
        LIBRARY_ROOTS
        | SDK_ROOTS
        | {
            "langchain",
            "langchain_openai",
            "langchain_ollama",
            "langchain_anthropic",
            "langchain_community",
        }
    )
