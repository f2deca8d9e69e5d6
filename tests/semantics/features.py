"""What a user does with a graph, each as a function that gives everything there is to see.

A feature gets the graph, its case and a config, and returns the observables. Errors are observed,
not raised: they are part of what must be the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.runnables import RunnableLambda

from tests.semantics.trace import Tree
from tests.semantics.twins import Case

MODES = ("values", "updates", "custom", "messages", "checkpoints", "tasks", "debug")


def _stream(pieces: Iterator[Any]) -> list[Any]:
    """All chunks up to the end or the error, which comes last."""
    seen: list[Any] = []
    try:
        seen.extend(pieces)  # keeps what came before an error
    except Exception as error:
        seen.append(error)
    return seen


async def _astream(pieces: AsyncIterator[Any]) -> list[Any]:
    seen: list[Any] = []
    try:
        async for piece in pieces:
            seen.append(piece)  # noqa: PERF401 - a comprehension would lose all at an error
    except Exception as error:
        seen.append(error)
    return seen


def _try(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def _kwargs(case: Case) -> dict[str, Any]:
    return {} if case.context is None else {"context": case.context}


def invoke(graph: Any, case: Case, config: Any) -> Any:
    return _try(lambda: graph.invoke(case.input, config, **_kwargs(case)))


def invoke_v2(graph: Any, case: Case, config: Any) -> Any:
    return _try(lambda: graph.invoke(case.input, config, version="v2", **_kwargs(case)))


def _streamed(config: Any) -> Any:
    # A sync stream of messages keeps one worker waiting for its queue; the nodes need another.
    return {**config, "max_concurrency": config["max_concurrency"] + 1}


def stream_each(graph: Any, case: Case, config: Any) -> Any:
    seen, config = {}, _streamed(config)
    for mode in MODES:
        own = {**config, "configurable": {**config["configurable"], "thread_id": mode}}
        seen[mode] = _stream(graph.stream(case.input, own, stream_mode=mode, **_kwargs(case)))
    return seen


def stream_all(graph: Any, case: Case, config: Any) -> Any:
    kwargs = {"stream_mode": list(MODES), "subgraphs": True, **_kwargs(case)}
    return _stream(graph.stream(case.input, _streamed(config), **kwargs))


def events_v3(graph: Any, case: Case, config: Any) -> Any:
    own = _streamed(config)
    with graph.stream_events(case.input, own, version="v3", **_kwargs(case)) as run:
        seen = _stream(iter(run))
        return seen, _try(lambda: run.output), _try(lambda: run.interrupted)


def batch(graph: Any, case: Case, config: Any) -> Any:
    first = {**config, "configurable": {**config["configurable"], "thread_id": "b1"}}
    inputs, configs = [case.input, case.input], [config, first]
    whole = _try(lambda: graph.batch(inputs, configs, return_exceptions=True, **_kwargs(case)))
    one = [{**c, "configurable": {"thread_id": f"d{n}"}} for n, c in enumerate(configs)]
    done = _try(
        lambda: sorted(
            graph.batch_as_completed(inputs, one, return_exceptions=True, **_kwargs(case)),
            key=lambda pair: int(pair[0]),
        )
    )
    return whole, done


def composed(graph: Any, case: Case, config: Any) -> Any:
    bound = graph.with_config(tags=["bound"], metadata={"by": "test"})
    piped = RunnableLambda(lambda value: value) | graph | RunnableLambda(lambda value: [value])
    again = {**config, "configurable": {**config["configurable"], "thread_id": "pipe"}}
    kwargs = _kwargs(case)
    return (
        _try(lambda: bound.invoke(case.input, config, **kwargs)),
        _try(lambda: piped.invoke(case.input, again, **kwargs)),
        _try(lambda: graph.bind(**kwargs).invoke(case.input, again)),
    )


def callbacks(graph: Any, case: Case, config: Any) -> Any:
    tree, usage = Tree(), UsageMetadataCallbackHandler()
    _try(lambda: graph.invoke(case.input, {**config, "callbacks": [tree, usage]}, **_kwargs(case)))
    return tree.events, dict(usage.usage_metadata)


def history(graph: Any, case: Case, config: Any) -> Any:
    """States, resumption, time travel and a hand-made update, on one thread."""
    seen = [_try(lambda: graph.invoke(case.input, config, **_kwargs(case)))]
    seen.append(_try(lambda: graph.get_state(config, subgraphs=True)))
    seen.append(_stream(graph.stream(case.resume, config, **_kwargs(case), stream_mode="updates")))
    past = _try(lambda: list(graph.get_state_history(config)))
    seen.append(past)
    if isinstance(past, list) and past:
        middle = past[len(past) // 2].config
        seen.append(_try(lambda: graph.invoke(None, middle, **_kwargs(case))))
        seen.append(_try(lambda: graph.update_state(past[0].config, None, as_node="__start__")))
        seen.append(_try(lambda: list(graph.get_state_history(config))))
    return seen


def durable(graph: Any, case: Case, config: Any) -> Any:
    seen = {}
    for kind in ("sync", "async", "exit"):
        own = {**config, "configurable": {"thread_id": kind}}
        kwargs = {"durability": kind, **_kwargs(case)}
        seen[kind] = (
            _try(lambda o=own, k=kwargs: graph.invoke(case.input, o, **k)),  # type: ignore[misc]
            _try(lambda o=own: list(graph.get_state_history(o))),  # type: ignore[misc]
        )
    return seen


def shown(graph: Any, case: Case, config: Any) -> Any:
    """Drawings and schemas; nothing runs."""
    drawn = [_try(lambda x=x: graph.get_graph(xray=x)) for x in (False, True)]  # type: ignore[misc]
    return (
        [
            g if isinstance(g, Exception) else (g.to_json(with_schemas=True), g.draw_mermaid())
            for g in drawn
        ],
        _try(graph.get_input_jsonschema),
        _try(graph.get_output_jsonschema),
        _try(graph.get_context_jsonschema),
        graph.name,
        graph.get_name(),
        type(graph).__name__,
        type(graph).__module__,
        sorted(name for name, _ in graph.get_subgraphs(recurse=True)),
    )


SYNC = (
    invoke,
    invoke_v2,
    stream_each,
    stream_all,
    events_v3,
    batch,
    composed,
    callbacks,
    history,
    durable,
    shown,
)


async def _atry(call: Callable[[], Any]) -> Any:
    try:
        return await call()
    except Exception as error:
        return error


async def ainvoke(graph: Any, case: Case, config: Any) -> Any:
    return await _atry(lambda: graph.ainvoke(case.input, config, **_kwargs(case)))


async def astream_each(graph: Any, case: Case, config: Any) -> Any:
    seen = {}
    for mode in MODES:
        own = {**config, "configurable": {**config["configurable"], "thread_id": mode}}
        kwargs = {"stream_mode": mode, **_kwargs(case)}
        seen[mode] = await _astream(graph.astream(case.input, own, **kwargs))
    return seen


async def astream_all(graph: Any, case: Case, config: Any) -> Any:
    kwargs = {"stream_mode": list(MODES), "subgraphs": True, **_kwargs(case)}
    return await _astream(graph.astream(case.input, config, **kwargs))


async def aevents_v1_v2(graph: Any, case: Case, config: Any) -> Any:
    seen = []
    for version in ("v1", "v2"):
        own = {**config, "configurable": {"thread_id": version}}
        kwargs = {"version": version, **_kwargs(case)}
        seen.append(await _astream(graph.astream_events(case.input, own, **kwargs)))
    return seen


async def aevents_v3(graph: Any, case: Case, config: Any) -> Any:
    run = await graph.astream_events(case.input, config, version="v3", **_kwargs(case))
    async with run:
        seen = await _astream(aiter(run))
        return seen, await _atry(run.output), await _atry(run.interrupted)


async def abatch(graph: Any, case: Case, config: Any) -> Any:
    own = [{**config, "configurable": {"thread_id": name}} for name in "ab"]
    kwargs = {"return_exceptions": True, **_kwargs(case)}
    whole = await _atry(lambda: graph.abatch([case.input] * 2, own, **kwargs))
    apart = [{**c, "configurable": {"thread_id": f"{n}"}} for n, c in enumerate(own)]
    done = await _astream(graph.abatch_as_completed([case.input] * 2, apart, **kwargs))
    return whole, sorted(done, key=lambda pair: int(pair[0]))


async def acallbacks(graph: Any, case: Case, config: Any) -> Any:
    tree, usage = Tree(), UsageMetadataCallbackHandler()
    with_them = {**config, "callbacks": [tree, usage]}
    await _atry(lambda: graph.ainvoke(case.input, with_them, **_kwargs(case)))
    return tree.events, dict(usage.usage_metadata)


async def ahistory(graph: Any, case: Case, config: Any) -> Any:
    kwargs = _kwargs(case)
    seen = [await _atry(lambda: graph.ainvoke(case.input, config, **kwargs))]
    seen.append(await _atry(lambda: graph.aget_state(config, subgraphs=True)))
    seen.append(await _astream(graph.astream(case.resume, config, stream_mode="updates", **kwargs)))
    past = await _astream(graph.aget_state_history(config))
    seen.append(past)
    if past and not isinstance(past[0], Exception):
        middle = past[len(past) // 2].config
        seen.append(await _atry(lambda: graph.ainvoke(None, middle, **kwargs)))
        seen.append(
            await _atry(lambda: graph.aupdate_state(past[0].config, None, as_node="__start__"))
        )
        seen.append(await _astream(graph.aget_state_history(config)))
    return seen


ASYNC = (
    ainvoke,
    astream_each,
    astream_all,
    aevents_v1_v2,
    aevents_v3,
    abatch,
    acallbacks,
    ahistory,
)
