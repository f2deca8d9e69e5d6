"""The pool: from what the user passes as `models=` to a catalog and models that can be called.

```
None                 the graph's own models
"auto"               these, and every chat model of the Ollama server of this machine
["ollama:…", chat]   exactly the listed ones; the graph's own are only known for comparison
```
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, cast

from graphroute import registry
from graphroute.errors import GraphrouteError, InvalidValue, PoolError, ProviderUnavailable
from graphroute.ir.catalog import CAPABILITIES, Catalog, Model, ModelSpec
from graphroute.ir.naming import model_name, pool_name
from graphroute.protocols import Offer, Provider
from graphroute.providers import _prices

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Member: TypeAlias = "str | BaseChatModel | Model"
Models: TypeAlias = "Sequence[Member] | str | None"


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The candidates, and the graph's own models whether or not they are among them.

    own: specs of the graph's own models by pool name, the baseline of the saving; where the pool
        lists one under another name, that member's spec
    warnings: what could not be looked up, for the plan and the log
    chats: the models that were given as objects, with whatever settings they have, by name
    """

    catalog: Catalog
    own: Mapping[str, ModelSpec]
    warnings: tuple[str, ...] = ()
    openers: Mapping[str, Callable[[], BaseChatModel]] = field(repr=False)
    chats: Mapping[str, BaseChatModel] = field(default_factory=dict, repr=False)
    _opened: dict[str, BaseChatModel] = field(default_factory=dict, init=False, repr=False)
    _locks: dict[str, threading.Lock] = field(default_factory=dict, init=False, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def member(self, model: object) -> ModelSpec | None:
        """The spec of a chat model, or of a name, that is in the pool or the graph's; else None."""
        names = [name for name, chat in self.chats.items() if chat is model]
        if isinstance(model, str):
            names.append(model_name(model))
        elif not names and hasattr(model, "invoke"):
            names.append(pool_name(model))
        known = {**self.own, **{spec.name: spec for spec in self.catalog}}
        return next((known[name] for name in names if name in known), None)

    def open(self, name: str) -> BaseChatModel:
        """The chat model called `name`: made once, also when many threads ask at the same time.

        `UnknownModel` if the pool has none of that name; `ProviderUnavailable` if it does not
        open, in which case the next call tries again.
        """
        if (chat := self._opened.get(name)) is not None:
            return chat
        opener = self.openers.get(name)
        if opener is None:
            self.catalog.get(name)
            raise AssertionError(f"{name!r} is in the catalog but cannot be opened")
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        # One lock a model: a slow start of one must not keep the others waiting.
        with lock:
            if (chat := self._opened.get(name)) is None:
                chat = self._opened[name] = opener()
        return chat


def build_pool(
    models: Models = None,
    own_chats: Mapping[str, BaseChatModel] | None = None,
    *,
    budgeted: bool = False,
    providers: Mapping[str, Provider] | None = None,
) -> Pool:
    """Resolve the pool; every member that cannot be used is told in one error.

    own_chats: the graph's own models by pool name
    budgeted: there is a limit in USD, so that each price must be known; a choice between several
        models needs their prices as well
    providers: ready providers by name, used instead of the ones that would be built

    >>> from graphroute.providers.scripted import ScriptedChat
    >>> pool = build_pool(None, {"scripted:own": ScriptedChat(name="own")})
    >>> pool.catalog.names, pool.open("scripted:own").invoke("hi").content
    (('scripted:own',), 'ok')
    """
    sources = _Sources(ready=dict(providers or {}))
    own = own_chats or {}
    warnings: list[str] = []
    members = _members(models, sources, warnings)
    offers: dict[str, Offer] = {}
    chats = dict(own)
    faults: list[GraphrouteError] = []
    for member in members:
        try:
            if member.name in offers:
                raise InvalidValue(
                    f"model {member.name!r} is twice in the pool",
                    model=member.name,
                    next_step="name it once, or give one of them another name by Model(name, chat)",
                )
            if member.chat is None and member.name in own:
                # A text that means the graph's own model: that object, with its settings.
                member = replace(member, chat=own[member.name])  # noqa: PLW2901
            offers[member.name] = sources.offer(member)
            if member.chat is not None:
                chats[member.name] = cast("BaseChatModel", member.chat)
        except GraphrouteError as fault:
            faults.append(fault)
    if faults:
        raise _together(faults)
    same = _renamed(members, own)
    known = {
        name: offers[same[name]] if name in same else _own(sources, name, chat, offers, warnings)
        for name, chat in own.items()
    }
    originals = {*own, *same.values()}
    if models is None or models == "auto":
        listed = {name: offer for name, offer in known.items() if name not in same}
        offers = listed | {name: offer for name, offer in offers.items() if name not in listed}
    specs = {
        name: replace(offer.spec, original=True) if name in originals else offer.spec
        for name, offer in offers.items()
    }
    # Without a limit and without a choice nothing hangs on a price; the graph runs as it did.
    if budgeted or (models is not None and len(specs) > 1):
        unpriced = tuple(sorted(name for name, spec in specs.items() if not spec.price.is_known))
        if unpriced:
            raise _prices.refuse(unpriced)
    return Pool(
        catalog=Catalog(models=tuple(specs[name] for name in sorted(specs))),
        own={name: replace(known[name].spec, original=True) for name in sorted(known)},
        openers={name: offer.open for name, offer in (known | offers).items()},
        warnings=tuple(warnings),
        chats=chats,
    )


def looked_up(chat: BaseChatModel) -> ModelSpec:
    """The spec of a model that is in no pool and in no graph, such as the model of a check.

    >>> from graphroute.providers.scripted import ScriptedChat
    >>> looked_up(ScriptedChat(name="judge")).name
    'scripted:judge'
    """
    return _own(_Sources(ready={}), pool_name(chat), chat, {}, []).spec


def _renamed(members: Sequence[Model], own: Mapping[str, BaseChatModel]) -> dict[str, str]:
    """The graph's own models that the pool lists under names, and so prices, of the user's own."""
    return {
        name: member.name
        for name, chat in own.items()
        for member in members
        if member.name != name and member.chat is not None
        if member.chat is chat or pool_name(member.chat) == name
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """Providers by name, each built when first needed."""

    ready: dict[str, Provider]

    def get(self, name: str) -> Provider:
        if name not in self.ready:
            built = registry.build("providers", name)
            if not isinstance(built, Provider):
                raise InvalidValue(
                    f"the plugin {name!r} builds no provider",
                    name=name,
                    next_step="see graphroute.protocols.Provider",
                )
            self.ready[name] = built
        return self.ready[name]

    def offer(self, member: Model) -> Offer:
        return self.get(self.of(member)).offer(member)

    def of(self, member: Model) -> str:
        """Which provider serves a member; LangChain takes what no plugin is named for."""
        if member.chat is not None:
            kind = getattr(type(member.chat), "graphroute_provider", None)
            return kind if isinstance(kind, str) else "langchain"
        kind = member.name.partition(":")[0]
        plugins = (*self.ready, *registry.names("providers"))
        return kind if ":" in member.name and kind in plugins else "langchain"


def _members(models: Models, sources: _Sources, warnings: list[str]) -> tuple[Model, ...]:
    if models is None:
        return ()
    if isinstance(models, str):
        if models != "auto":
            raise InvalidValue(
                f"models={models!r}",
                value=models,
                next_step=f"use None, 'auto', or a list such as [{models!r}]",
            )
        return _auto(sources, warnings)
    if not isinstance(models, Iterable) or not (listed := tuple(models)):
        raise InvalidValue(
            f"models={models!r}", value=models, next_step="list at least one model, or use None"
        )
    return tuple(_member(entry) for entry in listed)


def _auto(sources: _Sources, warnings: list[str]) -> tuple[Model, ...]:
    found: list[Model] = []
    try:
        ollama = sources.get("ollama")
        for model in ollama.discover():
            try:
                spec = ollama.offer(model).spec
            except PoolError as fault:
                warnings.append(f"{model.name} is left out: {fault}")
                continue
            # What a server elsewhere costs is not known, and nobody asked for it by name.
            if spec.price.is_known:
                found.append(model)
            else:
                warnings.append(f"{model.name} is left out: it does not run on this machine")
    except PoolError as fault:
        warnings.append(f"no models from Ollama: {fault}")
    return tuple(found)


def _member(entry: object) -> Model:
    if isinstance(entry, Model):
        return entry
    if isinstance(entry, str):
        # "gpt-5-mini" is read as LangChain reads it; what has no provider stays as it was typed.
        name = model_name(entry)
        return Model(entry if name.startswith("configurable:") else name)
    return Model(pool_name(entry), chat=entry)


def _own(
    sources: _Sources,
    name: str,
    chat: BaseChatModel,
    offers: Mapping[str, Offer],
    warnings: list[str],
) -> Offer:
    """The offer of a model the graph itself holds; it must never make the graph unusable."""
    if name in offers:
        return offers[name]
    member = Model(name, chat=chat)
    try:
        offer = sources.offer(member)
    except (PoolError, InvalidValue, OSError) as fault:
        # Its file may be gone or its provider broken; the graph then fails as it would anyway.
        warnings.append(f"{name} could not be looked up: {fault}")
        offer = sources.get("langchain").offer(member)
    spec = offer.spec
    if not chat.profile and spec.provider != "llamacpp":
        # The graph uses it as it is; a class that tells nothing must not lose it its own steps.
        spec = replace(spec, capabilities=frozenset(CAPABILITIES))
    return Offer(spec=spec, open=lambda: chat)


def _together(faults: Sequence[GraphrouteError]) -> GraphrouteError:
    """All faults in one error; of their common kind, so that callers can still tell them apart."""
    if len(faults) == 1:
        return faults[0]
    kinds = {type(fault) for fault in faults}
    kind = kinds.pop() if len(kinds) == 1 else PoolError
    if kind is PoolError and all(isinstance(f, ProviderUnavailable) for f in faults):
        kind = ProviderUnavailable
    lines = "".join(f"\n  - {fault}" for fault in faults)
    names = tuple(str(fault.facts["model"]) for fault in faults if "model" in fault.facts)
    return kind(f"{len(faults)} models of the pool cannot be used:{lines}", models=names)
