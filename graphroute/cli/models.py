"""`graphroute models`: what is in reach from here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import typer

from graphroute import registry
from graphroute.cli import _options
from graphroute.cli._files import write
from graphroute.errors import GraphrouteError
from graphroute.protocols import Health, Provider

SCHEMA = "graphroute.models/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One provider: whether it can serve, and the models it tells of by itself."""

    provider: str
    health: Health
    models: tuple[dict[str, Any], ...]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models")(command)


def command(as_json: _options.Json = False, output: _options.Output = None) -> None:
    """List the providers and models in reach: servers, keys, embedded models."""
    found = reach()
    if as_json or output is not None:
        data = {
            "schema": SCHEMA,
            "providers": [
                {
                    "provider": item.provider,
                    "is_ok": item.health.is_ok,
                    "detail": item.health.detail,
                    "next_step": item.health.next_step,
                    "models": list(item.models),
                }
                for item in found
            ],
        }
        write(json.dumps(data, indent=2) + "\n", output)
        return
    _show(found)


def reach() -> tuple[Reach, ...]:
    """Ask every provider; one that fails is told as not ok, with its own words."""
    found = []
    for name in registry.names("providers"):
        # The test double serves nobody.
        if name == "scripted":
            continue
        try:
            provider = registry.build("providers", name)
        except GraphrouteError as fault:
            health = Health(is_ok=False, detail=_what(fault), next_step=fault.next_step)
            found.append(Reach(provider=name, health=health, models=()))
            continue
        if not isinstance(provider, Provider):
            continue
        found.append(Reach(provider=name, health=provider.health(), models=_listed(provider)))
    return tuple(found)


def _listed(provider: Provider) -> tuple[dict[str, Any], ...]:
    try:
        members = provider.discover()
    except GraphrouteError:
        return ()
    found: list[dict[str, Any]] = []
    for member in members:
        try:
            spec = provider.offer(member).spec
        except GraphrouteError as fault:
            found.append({"name": member.name, "note": str(fault)})
            continue
        found.append(
            {
                "name": spec.name,
                "local": spec.local,
                "loaded": spec.loaded,
                "context_tokens": spec.context_tokens,
                "capabilities": sorted(spec.capabilities),
                "ability": spec.ability,
                "ability_source": spec.ability_source,
                "price_in_usd": spec.price.in_usd,
                "price_out_usd": spec.price.out_usd,
            }
        )
    return tuple(found)


def _what(fault: GraphrouteError) -> str:
    return str(fault).removesuffix(f"; {fault.next_step}") if fault.next_step else str(fault)


def _show(found: tuple[Reach, ...]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for item in found:
        mark = "[green]ok[/]" if item.health.is_ok else "[yellow]--[/]"
        console.print(
            f"{mark} [bold]{item.provider}[/] "
            + escape(item.health.detail.removesuffix(f"; {item.health.next_step}")),
            highlight=False,
        )
        if item.health.next_step and not item.health.is_ok:
            console.print(f"     {escape(item.health.next_step)}", highlight=False)
        for model in item.models:
            if "note" in model:
                console.print(
                    f"     {escape(model['name'])}: {escape(model['note'])}", highlight=False
                )
                continue
            price = f"${model['price_in_usd']:g} in, ${model['price_out_usd']:g} out per M"
            where = "on this machine, free" if model["local"] else price
            can = ", ".join(model["capabilities"]) or "text only"
            console.print(
                f"     {escape(model['name'])}: {where}; {can}; ability {model['ability']:.2f}",
                highlight=False,
            )
