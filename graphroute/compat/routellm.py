"""RouteLLM's client on graphroute: changing the import is the migration.

```python
from graphroute.compat.routellm import Controller      # was: from routellm.controller import …

client = Controller(routers=["mf"], strong_model="gpt-4o", weak_model="ollama/llama3.2")
reply = client.chat.completions.create(
    model="router-mf-0.5", messages=[{"role": "user", "content": "Hello!"}]
)
print(reply.choices[0].message.content)
```

What differs: prompts are scored on this machine by graphroute's own weights, so thresholds must be
calibrated anew (`graphroute calibrate`), and no embedding service is asked. Where a config names
one of RouteLLM's published checkpoints, graphroute's own weights stand for it, and a warning says
so.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from graphroute import registry
from graphroute.compat._chat import Chats, asked, astream_of, reply_of, stream_of
from graphroute.errors import GraphrouteError, InvalidValue

logger = logging.getLogger(__name__)

NAMES: Final[Mapping[str, str]] = {
    "random": "random",
    "mf": "mf",
    "bert": "encoder",
    "causal_llm": "causal",
    "sw_ranking": "similarity",
}
"""RouteLLM's router names and the scorers that stand for them; graphroute's own work as well."""


GPT_4_AUGMENTED_CONFIG: Final[Mapping[str, dict[str, Any]]] = {
    name: {} for name in ("sw_ranking", "causal_llm", "bert", "mf")
}
"""RouteLLM's default config, here without options: graphroute's own weights are the default."""

_PUBLISHED: Final = ("routellm/", "lmsys/")
_THEIR_OPTIONS: Final = frozenset(
    {"checkpoint_path", "arena_battle_datasets", "arena_embedding_datasets"}
)


class RoutingError(GraphrouteError):
    """A router, threshold or model name that cannot be used; named as RouteLLM names it."""


@dataclass
class ModelPair:
    """The two models that a prompt may go to."""

    strong: str
    weak: str


class Router:
    """A scorer with the methods that RouteLLM's routers have."""

    NO_PARALLEL = True

    def __init__(self, name: str, scorer: Any) -> None:
        self.name, self.scorer = name, scorer

    def calculate_strong_win_rate(self, prompt: str) -> float:
        """How much a prompt needs the strong model, in [0, 1]."""
        return self.rates([prompt])[0]

    def route(self, prompt: str, threshold: float, routed_pair: ModelPair) -> str:
        """The strong model's name where the rate reaches the threshold, else the weak one's."""
        reaches = self.calculate_strong_win_rate(prompt) >= threshold
        return routed_pair.strong if reaches else routed_pair.weak

    def rates(self, prompts: Sequence[str]) -> list[float]:
        """The rates of many prompts at once."""
        need: Callable[[Sequence[str]], Iterable[float]] = getattr(
            self.scorer, "need", self.scorer.difficulty
        )
        return [float(rate) for rate in need(prompts)]

    def __str__(self) -> str:
        return self.name


class Controller:
    """Routes chat completions between two models, as RouteLLM's class of this name.

    routers: names of RouteLLM (`mf`, `bert`, `causal_llm`, `sw_ranking`, `random`) or graphroute's
    config: options per router, e.g. `{"mf": {"weights": "my/weights"}}`
    api_base, api_key: for models without a provider of their own
    chats: LangChain chat models by model name, instead of looking them up
    """

    def __init__(
        self,
        routers: list[str],
        strong_model: str,
        weak_model: str,
        config: dict[str, dict[str, Any]] | None = None,
        api_base: str | None = None,
        api_key: str | None = None,
        progress_bar: bool = False,
        *,
        chats: Mapping[str, Any] | None = None,
    ) -> None:
        self.model_pair = ModelPair(strong=strong_model, weak=weak_model)
        self.api_base, self.api_key, self.progress_bar = api_base, api_key, progress_bar
        self.model_counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        options = GPT_4_AUGMENTED_CONFIG if config is None else config
        self.routers = {name: _router(name, options.get(name, {})) for name in routers}
        self._chats = Chats(api_base=api_base, api_key=api_key, given=chats or {})
        self.chat = SimpleNamespace(
            completions=SimpleNamespace(create=self.completion, acreate=self.acompletion)
        )

    def route(self, prompt: str, router: str, threshold: float) -> str:
        """The name of the model a prompt goes to."""
        self._check(router, threshold)
        return self.routers[router].route(prompt, threshold, self.model_pair)

    def batch_calculate_win_rate(self, prompts: Any, router: str) -> Any:
        """Win rates in [0, 1] of the strong model; a pandas Series gives a Series."""
        self._check(router, 0)
        rates = self.routers[router].rates(list(prompts))
        if hasattr(prompts, "index") and hasattr(prompts, "apply"):
            return type(prompts)(rates, index=prompts.index)
        return rates

    def completion(
        self, *, router: str | None = None, threshold: float | None = None, **kwargs: Any
    ) -> Any:
        """OpenAI's chat completion; `model="router-mf-0.5"` or router and threshold."""
        name = self._chosen(router, threshold, kwargs)
        messages, options = _request(kwargs)
        is_stream = options.pop("stream", False)
        chat, options = asked(self._chats.open(name), options)
        if is_stream:
            return stream_of(chat.stream(messages, **options), name)
        return reply_of(chat.invoke(messages, **options), name)

    async def acompletion(
        self, *, router: str | None = None, threshold: float | None = None, **kwargs: Any
    ) -> Any:
        """The same, awaited; a stream is for `async for`."""
        name = self._chosen(router, threshold, kwargs)
        messages, options = _request(kwargs)
        is_stream = options.pop("stream", False)
        chat, options = asked(self._chats.open(name), options)
        if is_stream:
            return astream_of(chat.astream(messages, **options), name)
        return reply_of(await chat.ainvoke(messages, **options), name)

    def _chosen(
        self, router: str | None, threshold: float | None, kwargs: Mapping[str, Any]
    ) -> str:
        if "model" in kwargs:
            router, threshold = parse_model(str(kwargs["model"]))
        router, threshold = self._check(router, threshold)
        messages: Sequence[Mapping[str, Any]] = kwargs.get("messages") or ()
        if not messages:
            raise RoutingError("no messages", next_step="give messages=[{'role': …}]")
        # The last turn alone, as RouteLLM has it: that is what its thresholds mean.
        name = self.route(_text(messages[-1].get("content")), router, threshold)
        self.model_counts[router][name] += 1
        return name

    def _check(self, router: str | None, threshold: float | None) -> tuple[str, float]:
        # In RouteLLM's words, for those who look for them.
        if router is None or threshold is None:
            raise RoutingError(
                "Router or threshold unspecified.", next_step="use model='router-mf-0.5'"
            )
        if router not in self.routers:
            raise RoutingError(
                f"Invalid router {router}. Available routers are {list(self.routers)}.",
                router=router,
            )
        if not 0 <= threshold <= 1:
            raise RoutingError(
                f"Invalid threshold {threshold}. Threshold must be a float between 0.0 and 1.0.",
                threshold=threshold,
            )
        return router, threshold


def parse_model(model: str) -> tuple[str, float]:
    """Router and threshold in `"router-[router name]-[threshold]"`.

    >>> parse_model("router-mf-0.11593"), parse_model("router-mf-1e-3")
    (('mf', 0.11593), ('mf', 0.001))
    """
    kind, router, threshold = (*model.split("-", 2), "", "")[:3]
    if kind != "router" or not router or not threshold:
        raise RoutingError(
            f"Invalid model {model}. Model name must be of the format "
            "'router-[router name]-[threshold]'.",
            model=model,
        )
    try:
        return router, float(threshold)
    except ValueError:
        raise RoutingError(f"Threshold {threshold} must be a float.", model=model) from None


def _router(name: str, options: Mapping[str, Any]) -> Router:
    family = NAMES.get(name, name)
    theirs = {key: value for key, value in options.items() if key in _THEIR_OPTIONS}
    rest = {key: value for key, value in options.items() if key not in _THEIR_OPTIONS}
    named = [
        path for value in theirs.values() for path in ([value] if isinstance(value, str) else value)
    ]
    if not all(str(path).startswith(_PUBLISHED) for path in named):
        raise InvalidValue(
            f"router {name!r}: graphroute does not load RouteLLM's checkpoints",
            router=name,
            next_step="train on your outcomes (graphroute train) and give "
            "config={" + repr(name) + ": {'weights': DIR}}, or leave config out",
        )
    if named:
        logger.warning(
            "router %r: graphroute's own weights stand for %s; calibrate the threshold anew",
            name,
            ", ".join(map(str, named)),
        )
    return Router(name, registry.build("scorers", family, **rest))


def _request(kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    options = {k: v for k, v in kwargs.items() if k not in ("model", "messages") and v is not None}
    return list(kwargs["messages"]), options


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = (part.get("text", "") for part in content if isinstance(part, Mapping))
        return "\n".join(part for part in parts if part)
    return ""
