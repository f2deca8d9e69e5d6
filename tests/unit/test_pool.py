from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from graphroute.errors import (
    InvalidValue,
    PoolError,
    ProviderUnavailable,
    UnknownModel,
    UnknownPrice,
)
from graphroute.ir.catalog import CAPABILITIES, Model
from graphroute.pool import build_pool
from graphroute.protocols import Health, Offer
from graphroute.providers.scripted import ScriptedChat, build

OWN = ScriptedChat(name="own")


@dataclass
class FakeOllama:
    """A provider under Ollama's name: what it has, or the error it fails with."""

    models: tuple[str, ...] = ()
    fault: PoolError | None = None
    broken: frozenset[str] = frozenset()
    name: str = "ollama"
    local: bool = True
    opened: list[str] = field(default_factory=list)

    def offer(self, model: Model) -> Offer:
        if model.name in self.broken:
            raise ProviderUnavailable(f"{model.name} gave no details", model=model.name)
        offer = build().offer(replace(model, local=self.local))

        def opening() -> BaseChatModel:
            self.opened.append(model.name)
            return offer.open()

        return Offer(spec=replace(offer.spec, provider="ollama"), open=opening)

    def discover(self) -> tuple[Model, ...]:
        if self.fault:
            raise self.fault
        return tuple(map(Model, self.models))

    def health(self) -> Health:
        return Health(is_ok=self.fault is None, detail="")


def test_none_gives_the_graphs_own_models_marked_as_such() -> None:
    pool = build_pool(None, {"scripted:own": OWN})
    assert pool.catalog.names == ("scripted:own",)
    assert pool.catalog.get("scripted:own").original
    assert pool.open("scripted:own") is OWN
    assert pool.own["scripted:own"] == pool.catalog.get("scripted:own")


def test_own_models_of_unknown_price_do_not_fail_without_a_budget() -> None:
    chats = {"FakeListChatModel:a": FakeListChatModel(responses=["a"]), "scripted:own": OWN}
    pool = build_pool(None, chats)
    assert [spec.price.is_known for spec in pool.catalog] == [False, False]
    assert not pool.catalog.get("FakeListChatModel:a").local


def test_a_budget_needs_every_price_and_tells_all_that_are_missing() -> None:
    chats = {"scripted:a": ScriptedChat(name="a"), "scripted:b": ScriptedChat(name="b")}
    with pytest.raises(UnknownPrice, match=r"'scripted:a', 'scripted:b'.*price_in_usd") as caught:
        build_pool(None, chats, budgeted=True)
    assert caught.value.facts["models"] == ("scripted:a", "scripted:b")


def test_a_choice_between_models_needs_their_prices() -> None:
    priced = Model("scripted:p", price_in_usd=1, price_out_usd=2)
    with pytest.raises(UnknownPrice, match="'scripted:x'"):
        build_pool([priced, "scripted:x"])
    assert build_pool(["scripted:x"]).catalog.names == ("scripted:x",)


def test_a_list_is_exact_and_the_own_models_are_only_known() -> None:
    pool = build_pool([Model("scripted:new", local=True)], {"scripted:own": OWN})
    assert pool.catalog.names == ("scripted:new",)
    assert list(pool.own) == ["scripted:own"]
    assert pool.open("scripted:own") is OWN


def test_a_text_that_means_an_own_model_is_that_object() -> None:
    pool = build_pool(["scripted:own"], {"scripted:own": OWN})
    assert pool.open("scripted:own") is OWN
    assert pool.catalog.get("scripted:own").original


def test_objects_are_named_by_what_they_call() -> None:
    pool = build_pool([ScriptedChat(name="x")])
    assert pool.catalog.names == ("scripted:x",)
    assert not pool.catalog.get("scripted:x").original


def test_a_user_price_reaches_the_catalog() -> None:
    own = Model("mine", chat=OWN, price_in_usd=3, price_out_usd=4, quality=0.9)
    spec = build_pool([own], budgeted=True).catalog.get("mine")
    assert (spec.price.in_usd, spec.price.out_usd, spec.price.source) == (3, 4, "user")
    assert spec.ability > 0.5


def test_auto_adds_what_ollama_has() -> None:
    pool = build_pool(
        "auto",
        {"scripted:own": ScriptedChat(name="own")},
        providers={"ollama": FakeOllama(models=()), "scripted": build()},
    )
    assert pool.catalog.names == ("scripted:own",)
    pool = build_pool("auto", {}, providers={"ollama": FakeOllama(models=("ollama:a", "ollama:b"))})
    assert pool.catalog.names == ("ollama:a", "ollama:b")
    assert pool.warnings == ()


def test_auto_without_ollama_is_a_warning() -> None:
    down = FakeOllama(fault=ProviderUnavailable("Ollama is down", next_step="start it"))
    pool = build_pool("auto", {"scripted:own": OWN}, providers={"ollama": down})
    assert pool.catalog.names == ("scripted:own",)
    assert pool.warnings == ("no models from Ollama: Ollama is down; start it",)


def test_auto_leaves_out_what_has_no_details_or_runs_elsewhere() -> None:
    partly = FakeOllama(models=("ollama:a", "ollama:b"), broken=frozenset({"ollama:a"}))
    pool = build_pool("auto", {}, providers={"ollama": partly})
    assert pool.catalog.names == ("ollama:b",)
    assert pool.warnings == ("ollama:a is left out: ollama:a gave no details",)
    away = FakeOllama(models=("ollama:a",), local=False)
    pool = build_pool("auto", {"scripted:own": OWN}, providers={"ollama": away})
    assert pool.catalog.names == ("scripted:own",)
    assert "does not run on this machine" in pool.warnings[0]


def test_several_bad_names_are_told_together() -> None:
    with pytest.raises(UnknownModel) as caught:
        build_pool(["nobody:x", "llama", "scripted:fine"])
    assert "2 models of the pool" in str(caught.value)
    assert "'nobody:x'" in str(caught.value)
    assert "'llama'" in str(caught.value)
    assert caught.value.facts["models"] == ("nobody:x", "llama")


def test_faults_of_different_kinds_are_a_pool_error() -> None:
    with pytest.raises(PoolError, match="2 models") as caught:
        build_pool(["nobody:x", Model("y", chat=object())])
    assert type(caught.value) is PoolError


@pytest.mark.parametrize("models", [[], "all", 7])
def test_a_pool_of_the_wrong_form_is_refused(models: object) -> None:
    with pytest.raises(InvalidValue, match="models="):
        build_pool(models)  # type: ignore[arg-type]


def test_the_same_name_twice_is_refused() -> None:
    with pytest.raises(InvalidValue, match="'scripted:x' is twice in the pool"):
        build_pool(["scripted:x", ScriptedChat(name="x")])


def test_an_unknown_name_cannot_be_opened() -> None:
    with pytest.raises(UnknownModel, match="no model 'scripted:z'"):
        build_pool(["scripted:x"]).open("scripted:z")


def test_many_threads_open_a_model_once() -> None:
    ollama = FakeOllama(models=("ollama:a",))
    pool = build_pool("auto", {}, providers={"ollama": ollama})
    start = threading.Barrier(8)

    def opening(_: int) -> BaseChatModel:
        start.wait()
        return pool.open("ollama:a")

    with ThreadPoolExecutor(8) as threads:
        chats = list(threads.map(opening, range(8)))
    assert len({id(chat) for chat in chats}) == 1
    assert ollama.opened == ["ollama:a"]


def test_a_failed_open_is_tried_again() -> None:
    pool = build_pool(["scripted:x"])
    real = pool.openers["scripted:x"]
    attempts: list[int] = []

    def flaky() -> BaseChatModel:
        attempts.append(1)
        if len(attempts) == 1:
            raise ProviderUnavailable("not yet")
        return real()

    pool = replace(pool, openers={"scripted:x": flaky})
    with pytest.raises(ProviderUnavailable, match="not yet"):
        pool.open("scripted:x")
    assert pool.open("scripted:x").invoke("hi").content == "ok"


def test_an_own_model_that_says_nothing_keeps_all_capabilities() -> None:
    pool = build_pool(None, {"FakeListChatModel:a": FakeListChatModel(responses=["a"])})
    assert pool.catalog.get("FakeListChatModel:a").capabilities == frozenset(CAPABILITIES)


def test_an_own_model_listed_under_another_name_keeps_its_price_as_the_baseline() -> None:
    own = ScriptedChat(name="own")
    listed = Model("cloud", own, price_in_usd=3, price_out_usd=9)
    pool = build_pool([listed], {"scripted:own": own}, budgeted=True)
    assert pool.catalog.names == ("cloud",)
    assert pool.own["scripted:own"].name == "cloud"
    assert pool.own["scripted:own"].price.in_usd == 3
    assert pool.catalog.get("cloud").original
    assert pool.open("cloud") is own
