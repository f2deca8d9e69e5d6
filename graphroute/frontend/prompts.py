"""The texts of prompt templates and messages, placeholders kept as `{name}`.

>>> from langchain_core.messages import HumanMessage, SystemMessage
>>> prompt_texts([SystemMessage("Be brief."), HumanMessage("Who?")])
(('Be brief.', 'Who?'), False)
"""

from __future__ import annotations

import re
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.prompts import (
    BaseChatPromptTemplate,
    BasePromptTemplate,
    StringPromptTemplate,
)
from langchain_core.prompts.image import ImagePromptTemplate
from langchain_core.prompts.message import BaseMessagePromptTemplate

from graphroute.frontend.attributes import held, is_a

PROMPT_TYPES: Final[tuple[type, ...]] = (BasePromptTemplate, BaseMessagePromptTemplate, BaseMessage)
_IMAGE_TYPES: Final = frozenset({"image", "image_url", "input_image"})
_MAX_PARTS: Final = 256
_MIN_WORDS: Final = 4
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")


def prompt_texts(source: object) -> tuple[tuple[str, ...], bool]:
    """Texts in `source` (template, message, or a list of them), and whether one holds an image."""
    texts: list[str] = []
    has_image = False
    queue, left = [source], _MAX_PARTS
    while queue and left:
        left -= 1
        value = queue.pop(0)
        if type(value) is str:
            texts.append(value)
        elif type(value) in (list, tuple):
            queue[:0] = value  # type: ignore[call-overload]
        elif type(value) is dict:
            has_image |= value.get("type") in _IMAGE_TYPES if _has_type(value) else False
            queue[:0] = [v for k, v in value.items() if k == "text" and type(v) is str]
        elif is_a(value, ImagePromptTemplate):
            has_image = True
        elif is_a(value, *PROMPT_TYPES):
            queue[:0] = _parts(value)
        elif type(value).__name__ == "DictPromptTemplate":
            queue[:0] = [held(value).get("template")]
    return tuple(text for text in texts if text.strip()), has_image


def input_variables(template: object) -> tuple[str, ...]:
    """The names a template asks for, empty where it does not say."""
    names = held(template).get("input_variables")
    return tuple(n for n in names if type(n) is str) if type(names) is list else ()


def is_prompt(text: str) -> bool:
    """Whether a constant of a node's code reads like an instruction and not like a key.

    >>> is_prompt("Summarise the text in one sentence."), is_prompt("messages")
    (True, False)
    """
    return len(text.split()) >= _MIN_WORDS


def has_words(text: str) -> bool:
    """Whether a text says more than its placeholders.

    >>> has_words("Translate: {text}"), has_words("{text} {n}")
    (True, False)
    """
    return any(part.isalpha() for part in _PLACEHOLDER.sub("", text))


def _parts(value: object) -> list[Any]:
    """What a template is made of, in reading order."""
    inner = held(value)
    if is_a(value, BaseMessage):
        return [inner.get("content")]
    if is_a(value, BaseMessagePromptTemplate):
        return [inner.get("prompt")]
    if is_a(value, BaseChatPromptTemplate):
        return [inner.get("prefix"), inner.get("examples"), inner.get("messages")]
    if is_a(value, StringPromptTemplate):
        return [inner.get("prefix"), inner.get("template"), inner.get("suffix")]
    return [inner.get("template"), inner.get("messages")]


def _has_type(value: dict[Any, Any]) -> bool:
    return type(value.get("type")) is str
