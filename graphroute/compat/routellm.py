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
calibrated anew (`graphroute calibrate`), and no embedding service is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from graphroute import registry
from graphroute.compat._chat import Chats, reply_of, stream_of
from graphroute.errors import GraphrouteError, InvalidValue

NAMES: Final[Mapping[str, str]] = {
    "random": "random",
    "mf": "mf",
    "bert": "encoder",
    "causal_llm": "causal",
    "sw_ranking": "similarity",
}
"""RouteLLM's router names and the scorers that stand for them; graphroute's own work as well."""


class RoutingError(GraphrouteError):
    """A router, threshold or model name that cannot be used; named as RouteLLM names it."""


@dataclass
class ModelPair:
    """The two models that a prompt may go to."""

    strong: str
    weak: str


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
        self.routers = {name: _router(name, (config or {}).get(name, {})) for name in routers}
        self._chats = Chats(api_base=api_base, api_key=api_key, given=chats or {})
        self.chat = SimpleNamespace(
            completions=SimpleNamespace(create=self.completion, acreate=self.acompletion)
        )

    def route(self, prompt: str, router: str, threshold: float) -> str:
        """The name of the model a prompt goes to."""
        self._check(router, threshold)
        rate = self._rates([prompt], router)[0]
        return self.model_pair.strong if rate >= threshold else self.model_pair.weak

    def batch_calculate_win_rate(self, prompts: Any, router: str) -> Any:
        """Win rates in [0, 1] of the strong model; a pandas Series gives a Series."""
        self._check(router, 0)
        rates = self._rates(list(prompts), router)
        if hasattr(prompts, "index") and hasattr(prompts, "apply"):
            return type(prompts)(rates, index=prompts.index)
        return rates

    def completion(
        self, *, router: str | None = None, threshold: float | None = None, **kwargs: Any
    ) -> Any:
        """OpenAI's chat completion; `model="router-mf-0.5"` or router and threshold."""
        name = self._chosen(router, threshold, kwargs)
        chat = self._chats.open(name)
        messages, options = _request(kwargs)
        if options.pop("stream", False):
            return stream_of(chat.stream(messages, **options), name)
        return reply_of(chat.invoke(messages, **options), name)

    async def acompletion(
        self, *, router: str | None = None, threshold: float | None = None, **kwargs: Any
    ) -> Any:
        """The same, awaited; a stream is a plain iterator here too."""
        name = self._chosen(router, threshold, kwargs)
        chat = self._chats.open(name)
        messages, options = _request(kwargs)
        if options.pop("stream", False):
            return stream_of(chat.stream(messages, **options), name)
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
        if router is None or threshold is None:
            raise RoutingError(
                "router or threshold unspecified", next_step="use model='router-mf-0.5'"
            )
        if router not in self.routers:
            raise RoutingError(
                f"invalid router {router!r}",
                router=router,
                next_step=f"available routers are {', '.join(self.routers)}",
            )
        if not 0 <= threshold <= 1:
            raise RoutingError(
                f"invalid threshold {threshold!r}",
                threshold=threshold,
                next_step="use a number in [0, 1]",
            )
        return router, threshold

    def _rates(self, prompts: Sequence[str], router: str) -> list[float]:
        scorer = self.routers[router]
        need: Callable[[Sequence[str]], Iterable[float]] = getattr(
            scorer, "need", scorer.difficulty
        )
        return [float(rate) for rate in need(prompts)]


def parse_model(model: str) -> tuple[str, float]:
    """Router and threshold in `"router-[router name]-[threshold]"`.

    >>> parse_model("router-mf-0.11593")
    ('mf', 0.11593)
    """
    kind, _, rest = model.partition("-")
    router, _, threshold = rest.rpartition("-")
    if kind != "router" or not router:
        raise RoutingError(
            f"invalid model {model!r}",
            model=model,
            next_step="write router-[router name]-[threshold]",
        )
    try:
        return router, float(threshold)
    except ValueError:
        raise RoutingError(
            f"threshold {threshold!r} must be a number",
            model=model,
            next_step="write it like router-mf-0.5",
        ) from None


def _router(name: str, options: Mapping[str, Any]) -> Any:
    family = NAMES.get(name, name)
    if "checkpoint_path" in options or "arena_battle_datasets" in options:
        raise InvalidValue(
            f"router {name!r}: graphroute does not load RouteLLM's checkpoints",
            router=name,
            next_step="train on your outcomes (graphroute train) and give "
            "config={" + repr(name) + ": {'weights': DIR}}, or leave config out",
        )
    return registry.build("scorers", family, **options)


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
