"""A plan as a Mermaid flowchart: one colour per model, a legend, subgraphs as boxes.

A node that more than one model may serve has the colour of the first and names them all.

Names are the user's and may hold anything, so nodes get numbers as ids and names stand only in
quoted labels, with everything Mermaid reads as syntax written as a character entity.
"""

from __future__ import annotations

from graphroute.ir.explain import served_by
from graphroute.ir.graph import END, START
from graphroute.ir.plan import Plan

COLOURS = (
    "#8ecae6",
    "#ffb703",
    "#90be6d",
    "#f28482",
    "#cdb4db",
    "#e9c46a",
    "#a3b18a",
    "#bde0fe",
    "#f4a261",
    "#adb5bd",
)


def to_mermaid(plan: Plan) -> str:
    """The flowchart; nodes without a model are white, local models have a thick border."""
    first = [a.model for a in plan.assignments]
    used = list(dict.fromkeys([*first, *(name for a in plan.assignments for name in a.then)]))
    style = {model: f"m{i}" for i, model in enumerate(used)}
    local = {m.name for m in plan.models if m.local}
    ids = _ids(plan)
    children: dict[str, list[str]] = {}
    for name in ids:
        children.setdefault(name.rpartition("/")[0], []).append(name)
    lines = ["flowchart TD"]

    def draw(scope: str, indent: str) -> None:
        for name in children.get(scope, ()):
            if name in children:
                lines.append(f'{indent}subgraph {ids[name]}["{escape(_short(name))}"]')
                draw(name, indent + "  ")
                lines.append(f"{indent}end")
            else:
                lines.append(indent + _node(plan, name, ids[name], style))

    draw("", "  ")
    lines += [
        f"  {ids[edge.source]} {_arrow(edge.label, edge.probability)} {ids[edge.target]}"
        for edge in plan.graph.edges
    ]
    if used:
        lines.append('  subgraph legend["models"]')
        lines += [f'    k{i}["{escape(m)}"]:::m{i}' for i, m in enumerate(used)]
        lines.append("  end")
    for i, model in enumerate(used):
        width = ",stroke-width:3px" if model in local else ""
        lines.append(
            f"  classDef m{i} fill:{COLOURS[i % len(COLOURS)]},stroke:#333,color:#111{width}"
        )
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text for a quoted label: letters, digits and plain punctuation stay, the rest is coded.

    >>> escape('a "b" <c>')
    'a #34;b#34; #60;c#62;'
    """
    return "".join(
        c if c.isalnum() or c in " _-.:/,()$%→×" else f"#{ord(c)};" for c in text.replace("\n", " ")
    )


def _ids(plan: Plan) -> dict[str, str]:
    names = [n.name for n in plan.graph.nodes]
    ends = [
        end for e in plan.graph.edges for end in (e.source, e.target) if _short(end) in (START, END)
    ]
    return {name: f"n{i}" for i, name in enumerate(dict.fromkeys([*names, *ends]))}


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _node(plan: Plan, name: str, node_id: str, style: dict[str, str]) -> str:
    short = _short(name)
    if short in (START, END):
        return f'{node_id}(["{"start" if short == START else "end"}"])'
    found = plan.assignment(name)
    if found is None:
        return f'{node_id}["{escape(short)}"]'
    return f'{node_id}["{escape(short)}<br/>{escape(served_by(found))}"]:::{style[found.model]}'


def _arrow(label: str, probability: float) -> str:
    if probability >= 1:
        return "-->"
    text = f"{label} " if label else ""
    return f'-. "{escape(text)}{100 * probability:.0f}%" .->'
