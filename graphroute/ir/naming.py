"""The pool name `"provider:model"` of a LangChain chat model object, read from its attributes.

Used on every intercepted call, so it is a few dictionary look-ups: what a class is gets decided
once per class. Nothing of the object runs: no property, no `__getattr__`, no `repr`.

```
ChatOpenAI(model="gpt-5")                                →  openai:gpt-5
ChatOpenAI(model="tiny", base_url="http://[::1]:8080/v1")  →  openai:tiny@[::1]:8080
ChatOllama(model="llama3.2").bind_tools([…])             →  ollama:llama3.2
MyOwnChat(name="draft")                                  →  MyOwnChat:draft
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

_MODEL_FIELDS: Final = ("model_name", "model", "model_id", "model_path", "name")
_BASE_FIELDS: Final = ("openai_api_base", "base_url", "api_base", "anthropic_api_url", "endpoint")

_PROVIDER_BY_CLASS: Final = {
    "AzureChatOpenAI": "azure_openai",
    "ChatOpenAI": "openai",
    "BaseChatOpenAI": "openai",
    "ChatOllama": "ollama",
    "ChatAnthropic": "anthropic",
    "ChatGoogleGenerativeAI": "google_genai",
    "ChatVertexAI": "google_vertexai",
    "ChatBedrock": "bedrock",
    "ChatBedrockConverse": "bedrock_converse",
    "ChatMistralAI": "mistralai",
    "ChatGroq": "groq",
    "ChatDeepSeek": "deepseek",
    "ChatXAI": "xai",
    "ChatCohere": "cohere",
    "ChatFireworks": "fireworks",
    "ChatTogether": "together",
    "ChatPerplexity": "perplexity",
    "ChatOpenRouter": "openrouter",
    "ChatNVIDIA": "nvidia",
    "ChatHuggingFace": "huggingface",
    "ChatLiteLLM": "litellm",
}
"""LangChain's class names and the provider names `init_chat_model` uses for them."""

_OWN_HOSTS: Final = {
    "openai": frozenset({"api.openai.com"}),
    "anthropic": frozenset({"api.anthropic.com"}),
    "ollama": frozenset({f"{host}:11434" for host in ("localhost", "127.0.0.1", "[::1]")}),
}
"""Hosts that are the provider itself; any other host makes another model of the same name."""

_PREFIXES: Final = (
    (("gpt-", "o1", "o3", "o4", "chatgpt"), "openai"),
    (("claude",), "anthropic"),
    (("gemini",), "google_genai"),
    (("command",), "cohere"),
    (("mistral", "mixtral"), "mistralai"),
    (("deepseek",), "deepseek"),
    (("grok",), "xai"),
    (("sonar",), "perplexity"),
)

_WRAPPERS: Final = {
    "RunnableBindingBase": "bound",
    "RunnableWithFallbacks": "runnable",
    "DynamicRunnable": "default",
}
"""Runnables around a model and the attribute that holds what they wrap."""

_MAX_WRAPS: Final = 16

_kinds: WeakKeyDictionary[type, tuple[str, str]] = WeakKeyDictionary()


def pool_name(chat: object) -> str:
    """`"provider:model"`, equal for objects that call the same model at the same place.

    Wrappers (bound tools, retries, fallbacks, configurable fields) name what they wrap. A model
    whose own name is not to be found is named after its class.

    >>> class Scripted:
    ...     def __init__(self, model: str) -> None:
    ...         self.model = model
    >>> pool_name(Scripted("weak"))
    'Scripted:weak'
    """
    for _ in range(_MAX_WRAPS):
        action, word = _kind(type(chat))
        held = _attributes(chat)
        if action == "wrapper" and held.get(word) is not None:
            chat = held[word]
            continue
        if action == "configurable":
            defaults = held.get("_default_config")
            return _configured(defaults if type(defaults) is dict else {})
        return _named(type(chat), word, held, is_placed=action != "own")
    return f"configurable:{type(chat).__name__}"


def model_name(model: str, provider: str | None = None) -> str:
    """The pool name of a model known by its text, as `init_chat_model` would read it.

    >>> model_name("gpt-5-mini"), model_name("ollama:llama3.2"), model_name("x", "groq")
    ('openai:gpt-5-mini', 'ollama:llama3.2', 'groq:x')
    """
    if provider:
        return f"{provider.replace('-', '_')}:{model}"
    head, colon, _ = model.partition(":")
    if colon and head.replace("-", "_") in _KNOWN_PROVIDERS:
        return model
    for starts, name in _PREFIXES:
        if model.lower().startswith(starts):
            return f"{name}:{model}"
    return f"configurable:{model}"


def provider_of_class(name: str) -> str | None:
    """The provider a LangChain chat class of this name belongs to, None where unknown.

    >>> provider_of_class("ChatOllama")
    'ollama'
    """
    return _PROVIDER_BY_CLASS.get(name)


_KNOWN_PROVIDERS: Final = frozenset(_PROVIDER_BY_CLASS.values()) | {
    "llamacpp",
    "scripted",
    "azure_ai",
}


def _kind(cls: type) -> tuple[str, str]:
    """What to do with objects of a class: (action, attribute or provider); cached per class."""
    known = _kinds.get(cls)
    if known is None:
        known = _kinds[cls] = _decide(cls)
    return known


def _decide(cls: type) -> tuple[str, str]:
    for base in cls.__mro__:
        name, module = base.__name__, base.__module__
        # A class of our own says which provider it is; where it is served does not name it.
        if type(provider := base.__dict__.get("graphroute_provider")) is str:
            return "own", provider
        if module.startswith("langchain"):
            if name in _WRAPPERS:
                return "wrapper", _WRAPPERS[name]
            if name == "_ConfigurableModel":
                return "configurable", ""
            if name in _PROVIDER_BY_CLASS:
                return "model", _PROVIDER_BY_CLASS[name]
    package = cls.__module__.partition(".")[0]
    if package.startswith("langchain_") and package not in ("langchain_core", "langchain_tests"):
        if package == "langchain_community":
            return "model", cls.__module__.rpartition(".")[2]
        return "model", package.removeprefix("langchain_")
    return "model", cls.__name__


def _attributes(chat: object) -> Mapping[str, object]:
    # The object's own dictionary, past any `__getattribute__` of its class.
    try:
        held = object.__getattribute__(chat, "__dict__")
    except AttributeError:
        return {}
    return held if isinstance(held, dict) else {}


def _named(cls: type, provider: str, held: Mapping[str, object], *, is_placed: bool) -> str:
    fields = ("deployment_name", *_MODEL_FIELDS) if provider == "azure_openai" else _MODEL_FIELDS
    for field in fields:
        text = held.get(field)
        if type(text) is str and text:
            model = text.removeprefix("models/")
            break
    else:
        model = cls.__name__
    place = _place(held) if is_placed and provider != "azure_openai" else ""
    if place and place not in _OWN_HOSTS.get(provider, frozenset()):
        return f"{provider}:{model}@{place}"
    return f"{provider}:{model}"


def _place(held: Mapping[str, object]) -> str:
    """Host and port a model is called at, `""` where the object does not say."""
    for field in _BASE_FIELDS:
        text = held.get(field)
        if type(text) is str and text:
            return urlsplit(text if "//" in text else f"//{text}").netloc.rpartition("@")[2].lower()
    # An address from OPENAI_BASE_URL shows only on the SDK's client.
    client = held.get("root_client")
    if client is not None and type(client).__module__.startswith("openai"):
        url = _attributes(client).get("_base_url")
        if type(url).__module__.startswith("httpx"):
            netloc = getattr(url, "netloc", b"")
            return netloc.decode("ascii", "replace").lower() if type(netloc) is bytes else ""
    return ""


def _configured(defaults: Mapping[str, object]) -> str:
    model, provider = defaults.get("model"), defaults.get("model_provider")
    if type(model) is not str or not model:
        return "configurable:default"
    return model_name(model, provider if type(provider) is str else None)
