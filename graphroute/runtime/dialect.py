"""Write a request in the words of the model that answers it, and the answer in the asker's.

Where the target has no word for a wish, the wish is met another way: a forced tool call on Ollama
becomes a JSON schema whose answer is turned into the tool call, a schema on a model that only has
tools becomes a forced tool whose arguments are the answer. Where there is no other way, `write`
raises, and the next model is asked. A model of the asker's own family gets the call as it was made.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from graphroute.errors import PoolError
from graphroute.ir.catalog import ModelSpec
from graphroute.runtime.request import Request

Restore = Callable[[AIMessage], AIMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Arguments for the target; `restore`, if any, turns its whole answer into the expected form.

    A call with `restore` cannot be streamed piece by piece: its pieces are not in that form.

    after: messages that follow those of the call
    """

    kwargs: Mapping[str, Any]
    stop: list[str] | None
    restore: Restore | None = None
    after: tuple[BaseMessage, ...] = ()


def family(chat: BaseChatModel) -> str:
    """Which provider's words a chat model takes: `openai`, `anthropic`, `ollama` or `other`."""
    return _family(type(chat))


@cache
def _family(chat_type: type[BaseChatModel]) -> str:
    for kind in chat_type.__mro__:
        match kind.__module__.partition(".")[0], kind.__name__:
            case "langchain_openai", _:
                return "openai"
            case "langchain_anthropic", _:
                return "anthropic"
            case "langchain_ollama", _:
                return "ollama"
    return "other"


def write(
    request: Request, *, own: BaseChatModel, target: BaseChatModel, limit: int | None = None
) -> Written:
    """The call for `target`, in its words.

    limit: the most tokens `target` can answer with, where known; a larger wish is cut to it

    Raises `PoolError` where the call asks for what `target` cannot do in any words, and what
    `target.bind_tools` raises where it cannot take tools.
    """
    if limit is not None and request.max_tokens is not None and request.max_tokens > limit:
        request = replace(request, max_tokens=limit)
    if _takes_the_same(own, target):
        written = _as_made(request, target)
    else:
        if request.bound:
            raise _cannot(target, f"{', '.join(request.bound)} of {type(own).__name__}")
        written = _translated(request, own, target)
    kwargs = {**written.kwargs, **request.tracing}
    restore, stop = written.restore, list(request.stop) or None
    if stop and family(target) == "openai" and _is_reasoning(target):
        # They answer 400 to a stop sequence; the answer is cut where it would have ended.
        restore, stop = _then(restore, partial(_cut_at, stops=request.stop)), None
    return Written(kwargs=kwargs, stop=stop, restore=restore)


def _takes_the_same(own: BaseChatModel, target: BaseChatModel) -> bool:
    kind = family(own)
    # Ollama's options must be merged with the target's own, and it has no word for a forced tool.
    if kind != family(target) or kind == "ollama":
        return False
    return kind != "other" or type(own).__module__ == type(target).__module__


def _translated(request: Request, own: BaseChatModel, target: BaseChatModel) -> Written:
    match family(target):
        case "ollama":
            written = _for_ollama(request, target, is_same=family(own) == "ollama")
        case "openai":
            written = _for_openai(request, target)
        case "anthropic":
            written = _for_anthropic(request, target)
        case _:
            written = _for_other(request, target)
    restore = written.restore
    if request.tools and request.parallel is False and family(target) in ("ollama", "other"):
        restore = _then(restore, _one_call)
    if request.schema is not None and family(own) == "openai":
        restore = _then(restore, _with_parsed)
    return replace(written, restore=restore)


def _cannot(target: BaseChatModel, wish: str) -> PoolError:
    name = str(getattr(target, "model_name", "") or getattr(target, "model", ""))
    return PoolError(
        f"{type(target).__name__} {name!r} has no words for {wish}",
        model=name,
        wish=wish,
        next_step="the next model is asked; pin the node to models of that provider",
    )


def capped(kwargs: Mapping[str, Any], target: BaseChatModel, cap: int) -> dict[str, Any]:
    """`kwargs` with the answer limited to `cap` tokens in the target's words."""
    if family(target) == "ollama":
        options = dict(kwargs.get("options") or _ollama_options(target))
        limit = options.get("num_predict")
        options["num_predict"] = min(cap, limit) if isinstance(limit, int) and limit > 0 else cap
        return {**kwargs, "options": options}
    limit = kwargs.get("max_tokens")
    return {**kwargs, "max_tokens": min(cap, limit) if isinstance(limit, int) else cap}


ANEW_TEMPERATURE = 0.8
"""What a model is asked at once more whose first answer was refused; at 0 it would repeat it."""


def drawn_anew(kwargs: Mapping[str, Any], target: BaseChatModel) -> dict[str, Any]:
    """`kwargs` for a further answer to the same question: drawn at random, with no fixed seed.

    A model without a temperature of its own is asked as before.
    """
    if family(target) == "ollama":
        options = dict(kwargs.get("options") or _ollama_options(target))
        options.pop("seed", None)
        return {**kwargs, "options": options | {"temperature": _warm(options.get("temperature"))}}
    if "temperature" not in type(target).model_fields or _is_reasoning(target):
        return dict(kwargs)
    now = kwargs.get("temperature", getattr(target, "temperature", None))
    seedless = {key: value for key, value in kwargs.items() if key != "seed"}
    return {**seedless, "temperature": _warm(now)}


def _warm(temperature: object) -> float:
    if isinstance(temperature, (int, float)):
        return max(ANEW_TEMPERATURE, float(temperature))
    return ANEW_TEMPERATURE


def takes_logprobs(target: BaseChatModel) -> bool:
    """Whether the target has a word for "with the probability of each token".

    OpenAI's Responses API has another one, and its reasoning models refuse either.
    """
    is_other = bool(getattr(target, "use_responses_api", None)) or _is_reasoning(target)
    return "logprobs" in type(target).model_fields and not is_other


def with_logprobs(kwargs: Mapping[str, Any], target: BaseChatModel) -> dict[str, Any]:
    """`kwargs` with the wish for the probability of each token of the answer."""
    # Embedded servers tell the twenty most likely tokens beside each, if not told otherwise.
    fewest = {"top_logprobs": 1} if family(target) == "openai" else {}
    return {**kwargs, "logprobs": True, **fewest}


_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
_SETTINGS = (*_CAPS, "temperature", "top_p", "seed", "stop", "stop_sequences")
_NOT_WHILE_REASONING = (
    *("logprobs", "top_logprobs", "logit_bias"),
    *("presence_penalty", "frequency_penalty"),
)
_ONLY_WHILE_REASONING = ("reasoning_effort", "reasoning", "verbosity")


def _as_made(request: Request, target: BaseChatModel) -> Written:
    """The arguments as they were, but for the settings, where the target's own come first."""
    refused: tuple[str, ...] = ()
    if family(target) == "openai":
        refused = _NOT_WHILE_REASONING if _is_reasoning(target) else _ONLY_WHILE_REASONING
    left_out = {*_SETTINGS, *refused}
    kwargs = {k: v for k, v in request.as_made.items() if k not in left_out}
    kwargs |= _sampling(request, target)
    caps = [name for name in _CAPS if request.as_made.get(name) is not None]
    if caps and caps != ["max_tokens"] and (cap := kwargs.pop("max_tokens", None)) is not None:
        kwargs |= dict.fromkeys(caps, cap)
    return Written(kwargs=kwargs, stop=None)


def temperature(
    request: Request, spec: ModelSpec, target: BaseChatModel | None, *, is_own: bool
) -> float | None:
    """The temperature that a call on `target` is made at; None where its provider decides.

    target: None for a model that was named only: it is made without a setting of its own
    is_own: the call goes to the model it was made on, with its arguments as they are
    """
    asked = request.sampling.get("temperature")
    if target is None:
        reasons = spec.provider == "openai" and _names_reasoning(spec.name.partition(":")[2])
        return None if reasons else asked
    if _is_reasoning(target):
        return None
    stated = getattr(target, "temperature", None)
    if is_own or "temperature" not in target.model_fields_set:
        return stated if asked is None else asked
    return stated


def _is_reasoning(target: BaseChatModel) -> bool:
    """Whether the model is one of OpenAI's that reason, which refuse most settings with a 400."""
    return _names_reasoning(str(getattr(target, "model_name", "") or getattr(target, "model", "")))


def _names_reasoning(name: str) -> bool:
    name = name.rpartition("/")[2]
    return name.startswith(("o1", "o3", "o4", "gpt-5")) and "chat" not in name


def _for_openai(request: Request, target: BaseChatModel) -> Written:
    kwargs = _sampling(request, target)
    if request.tools:
        kwargs["tools"] = list(request.tools)
        if request.parallel is not None:
            kwargs["parallel_tool_calls"] = request.parallel
        if request.forced:
            kwargs["tool_choice"] = {"type": "function", "function": {"name": request.forced}}
        elif request.choice != "auto":
            kwargs["tool_choice"] = "required" if request.choice == "any" else "none"
    if (schema_format := _openai_format(request)) is not None:
        kwargs["response_format"] = schema_format
    return Written(kwargs=kwargs, stop=None)


def _openai_format(request: Request) -> dict[str, Any] | None:
    if request.schema is not None:
        wish: dict[str, Any] = {
            "name": _identifier(request.schema_name),
            "schema": dict(request.schema),
        }
        if request.strict is not None:
            wish |= {"strict": request.strict}
        return {"type": "json_schema", "json_schema": wish}
    return {"type": "json_object"} if request.any_json else None


_READ_FOR_OLLAMA = {
    *_SETTINGS,
    *("tools", "tool_choice", "parallel_tool_calls", "format", "response_format", "options"),
}


def _for_ollama(request: Request, target: BaseChatModel, *, is_same: bool) -> Written:
    options = _ollama_options(target)
    options |= {k: v for k, v in request.sampling.items() if k not in options}
    if request.max_tokens is not None:
        options["num_predict"] = request.max_tokens
    kwargs: dict[str, Any] = {"options": options}
    if is_same:
        made = request.as_made
        kwargs |= {k: v for k, v in made.items() if k not in _READ_FOR_OLLAMA}
        options |= {
            k: v for k, v in (made.get("options") or {}).items() if k not in (*_SETTINGS, *options)
        }
    if request.stop:
        # ChatOllama reads `stop` only while it builds the options itself.
        options["stop"] = list(request.stop)
    if request.tools and request.choice == "any":
        schema, restore = _call_as_json(request)
        return Written(kwargs=kwargs | {"format": schema}, stop=None, restore=restore)
    if request.tools and request.choice == "auto":
        kwargs["tools"] = list(request.tools)
    if request.schema is not None:
        kwargs["format"] = dict(request.schema)
    elif request.any_json:
        kwargs["format"] = "json"
    return Written(kwargs=kwargs, stop=None)


def _ollama_options(target: BaseChatModel) -> dict[str, Any]:
    """The target's own settings: `options` in a call replaces all of them, so they come along."""
    names = ("num_ctx", "num_gpu", "num_thread", "num_predict", "repeat_last_n", "repeat_penalty")
    more = ("mirostat", "mirostat_eta", "mirostat_tau", "temperature", "seed", "tfs_z", "top_k")
    values = {name: getattr(target, name, None) for name in (*names, *more, "top_p", "stop")}
    return {name: value for name, value in values.items() if value is not None}


def _for_anthropic(request: Request, target: BaseChatModel) -> Written:
    if request.any_json:
        raise _cannot(target, "JSON without a schema")
    written = _with_bound_tools(request, target)
    if request.schema is None:
        return written
    profile: Mapping[str, Any] = getattr(target, "profile", None) or {}
    if profile.get("structured_output"):
        # ChatAnthropic takes OpenAI's form here and turns it into Claude's own.
        schema_format = _openai_format(request)
        return replace(written, kwargs={**written.kwargs, "response_format": schema_format})
    if request.tools:
        raise _cannot(target, "an answer by schema beside tools")
    bound = _bound_kwargs(target, [_schema_as_tool(request)], request.schema_name)
    return Written(kwargs={**written.kwargs, **bound}, stop=None, restore=_arguments_as_text)


def _for_other(request: Request, target: BaseChatModel) -> Written:
    written = _with_bound_tools(request, target)
    if (schema_format := _openai_format(request)) is not None:
        kwargs = {**written.kwargs, "response_format": schema_format}
        return Written(kwargs=kwargs, stop=None, restore=written.restore)
    return written


def _with_bound_tools(request: Request, target: BaseChatModel) -> Written:
    kwargs = _sampling(request, target)
    if request.tools and request.choice != "none":
        choice = request.forced or ("any" if request.choice == "any" else None)
        more = {}
        if request.parallel is not None and family(target) == "anthropic":
            more = {"parallel_tool_calls": request.parallel}
        kwargs |= _bound_kwargs(target, list(request.tools), choice, **more)
    return Written(kwargs=kwargs, stop=None)


def _bound_kwargs(
    target: BaseChatModel, tools: list[Any], choice: str | None, **more: Any
) -> dict[str, Any]:
    if choice:
        more = {**more, "tool_choice": choice}
    bound = target.bind_tools(tools, **more)
    return dict(getattr(bound, "kwargs", {}))


def _sampling(request: Request, target: BaseChatModel) -> dict[str, Any]:
    """Settings of the asker that the target takes as arguments and does not state itself."""
    fields = type(target).model_fields
    kwargs = {
        key: value
        for key, value in request.sampling.items()
        if key in fields
        and key not in target.model_fields_set
        # OpenAI's reasoning models answer 400 to any temperature or top_p.
        and not _is_reasoning(target)
    }
    if request.max_tokens is not None:
        kwargs["max_tokens"] = request.max_tokens
    return kwargs


def _call_as_json(request: Request) -> tuple[dict[str, Any], Restore]:
    """A schema whose answer is the call of one of the tools, and what makes the call of it."""
    functions = [tool["function"] for tool in request.tools]
    named = [f for f in functions if f["name"] == request.forced] or functions

    def shape(function: Mapping[str, Any]) -> dict[str, Any]:
        arguments = function.get("parameters") or {"type": "object"}
        return {
            "type": "object",
            "properties": {"name": {"const": function["name"]}, "arguments": arguments},
            "required": ["name", "arguments"],
        }

    if len(named) == 1:
        name = named[0]["name"]
        schema = dict(named[0].get("parameters") or {"type": "object"})
        return schema, lambda message: _as_tool_call(message, name)
    return {"anyOf": [shape(f) for f in named]}, lambda message: _as_tool_call(message, None)


def _as_tool_call(message: AIMessage, name: str | None) -> AIMessage:
    try:
        value = json.loads(_plain(message))
        call = {"name": name, "arguments": value} if name else value
        arguments = dict(call["arguments"])
    except (ValueError, KeyError, TypeError):
        return message  # cut off by a token limit: the asker's parser says so better than we could
    tool_call = {
        "name": str(call["name"]),
        "args": arguments,
        "id": f"call_{secrets.token_hex(12)}",
        "type": "tool_call",
    }
    return message.model_copy(update={"content": "", "tool_calls": [tool_call]})


def _schema_as_tool(request: Request) -> dict[str, Any]:
    schema = dict(request.schema or {})
    return {
        "type": "function",
        "function": {
            "name": _identifier(request.schema_name),
            "description": str(schema.get("description", "The answer.")),
            "parameters": schema,
        },
    }


def _one_call(message: AIMessage) -> AIMessage:
    """Only the first of several tool calls, where the asker forbids calling at once."""
    if len(message.tool_calls) < 2:
        return message
    return message.model_copy(update={"tool_calls": message.tool_calls[:1]})


def _cut_at(message: AIMessage, stops: tuple[str, ...]) -> AIMessage:
    """The answer up to the first stop sequence, as a model that knows them would have ended it.

    >>> _cut_at(AIMessage("one. two. END three"), (" END",)).text
    'one. two.'
    """
    text = _plain(message)
    ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return message.model_copy(update={"content": text[: min(ends)]}) if ends else message


def _arguments_as_text(message: AIMessage) -> AIMessage:
    if not message.tool_calls:
        return message
    text = json.dumps(message.tool_calls[0]["args"], ensure_ascii=False)
    return message.model_copy(update={"content": text, "tool_calls": []})


def _with_parsed(message: AIMessage) -> AIMessage:
    """LangChain's OpenAI parser reads the parsed object, not the text."""
    if message.additional_kwargs.get("parsed") is not None:
        return message
    try:
        parsed = json.loads(_plain(message))
    except ValueError:
        return message
    return message.model_copy(
        update={"additional_kwargs": {**message.additional_kwargs, "parsed": parsed}}
    )


def _plain(message: AIMessage) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)


def _then(first: Restore | None, second: Restore) -> Restore:
    return second if first is None else lambda message: second(first(message))


def _identifier(name: str) -> str:
    """A name providers accept for a function or schema: letters, digits, `_`, `-`, at most 64."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:64]
