"""Whether making an object of a class runs nothing but what the class's fields say."""

from __future__ import annotations

from enum import Enum
from types import FunctionType
from typing import Any, Final, is_typeddict

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import PromptValue
from langgraph.types import Command, Send
from pydantic import BaseModel

from graphroute.frontend.attributes import MISSING, bases, derives, held, module_of, on_class
from graphroute.frontend.versions import is_installed

_PLAIN: Final = (BaseMessage, Document, PromptValue, Send, Command, Enum)


def why_not_pure_class(cls: Any) -> str | None:
    """None where it is known to be pure, else what stands against it.

    >>> from langchain_core.messages import HumanMessage
    >>> class Client:
    ...     def __init__(self, host): self.host = host
    >>> why_not_pure_class(HumanMessage) is None, why_not_pure_class(Client)
    (True, 'whose making is not known to be pure')
    """
    if is_typeddict(cls) or (derives(cls, *_PLAIN) and is_installed_or_plain(cls)):
        return None
    if derives(cls, BaseModel) and not is_installed(cls):
        return _why_not_model(cls)
    own = {
        name: member
        for base in bases(cls)
        if not is_installed(base)
        for name, member in type.__getattribute__(base, "__dict__").items()
    }
    if on_class(cls, "__dataclass_fields__") is not MISSING and not is_installed(cls):
        # The generated `__init__` has no source file.
        made = on_class(cls, "__init__")
        is_generated = type(made) is FunctionType and made.__code__.co_filename == "<string>"
        if is_generated and not own.keys() & {"__post_init__", "__new__", "__setattr__"}:
            return None
        return "which runs code of its own when it is made"
    if derives(cls, tuple) and "_fields" in own and module_of(own.get("__new__")) != cls.__module__:
        return None
    return "whose making is not known to be pure"


def is_installed_or_plain(cls: Any) -> bool:
    """Whether a message, enum … is as the package made it, or adds no code that runs on making."""
    own = {
        name
        for base in bases(cls)
        if not is_installed(base)
        for name in type.__getattribute__(base, "__dict__")
    }
    return not own & {"__init__", "__new__", "__post_init__", "model_post_init", "_missing_"}


def _why_not_model(cls: Any) -> str | None:
    decorators = held(cls).get("__pydantic_decorators__") or on_class(
        cls, "__pydantic_decorators__"
    )
    kinds = ("validators", "field_validators", "root_validators", "model_validators")
    if any(getattr(decorators, kind, None) for kind in kinds):
        return "which has validators of its own"
    return None if is_installed_or_plain(cls) else "which runs code of its own when it is made"
