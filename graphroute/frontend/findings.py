"""What a walk through one node's code found: collected while looking, frozen at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphroute.ir.graph import ModelUse, SchemaFact, Sight, ToolFact

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The facts of one node's code.

    gotos, parent_gotos: node names that `Command(goto=…)` may go to, here and in the parent graph
    has_open_goto: a `Command` goes to a place only a run will tell
    sends: names `Send` may go to; has_open_send: some `Send` goes to an unknown one
    returned: all the strings the function can return, None where not all of them are constants
    runs_tools: tools are run by its code; is_tool_node: running tools is all it does
    subgraphs: compiled graphs it calls; tasks: functional-API tasks it calls, by name
    opaque_calls: calls of models that cannot be seen, in words
    """

    models: tuple[ModelUse, ...] = ()
    chats: Mapping[str, BaseChatModel] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()
    tools: tuple[ToolFact, ...] = ()
    output_schema: SchemaFact | None = None
    reads: frozenset[str] | None = None
    writes: tuple[str, ...] = ()
    gotos: tuple[str, ...] = ()
    parent_gotos: tuple[str, ...] = ()
    has_open_goto: bool = False
    sends: tuple[str, ...] = ()
    has_open_send: bool = False
    returned: tuple[str, ...] | None = None
    strings: frozenset[str] = frozenset()
    subgraphs: tuple[Any, ...] = ()
    tasks: tuple[Any, ...] = ()
    takes_images: bool = False
    runs_tools: bool = False
    is_tool_node: bool = False
    calls_unseen: tuple[str, ...] = ()
    calls_unknown: bool = False
    sight: Sight = "full"
    sight_reason: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Notes:
    """The collecting side of `Findings`; each list keeps the order of discovery, without twins."""

    models: dict[tuple[str, str], ModelUse] = field(default_factory=dict)
    chats: dict[str, BaseChatModel] = field(default_factory=dict)
    prompts: dict[str, None] = field(default_factory=dict)
    code_texts: dict[str, None] = field(default_factory=dict)
    tools: dict[str, ToolFact] = field(default_factory=dict)
    output_schema: SchemaFact | None = None
    reads: set[str] | None = None
    writes: dict[str, None] = field(default_factory=dict)
    gotos: dict[str, None] = field(default_factory=dict)
    parent_gotos: dict[str, None] = field(default_factory=dict)
    has_open_goto: bool = False
    sends: dict[str, None] = field(default_factory=dict)
    has_open_send: bool = False
    returned: dict[str, None] | None = None
    strings: set[str] = field(default_factory=set)
    subgraphs: list[Any] = field(default_factory=list)
    tasks: list[Any] = field(default_factory=list)
    takes_images: bool = False
    runs_tools: bool = False
    is_tool_node: bool = False
    calls_unseen: dict[str, None] = field(default_factory=dict)
    unknown_calls: dict[str, None] = field(default_factory=dict)
    partial: dict[str, None] = field(default_factory=dict)
    opaque: str = ""
    warnings: dict[str, None] = field(default_factory=dict)

    def add_model(self, use: ModelUse) -> None:
        """Note a model once per name; of several ways to it the first is kept."""
        if not any(known == use.name for known, _ in self.models):
            self.models[use.name, use.via] = use

    def freeze(self) -> Findings:
        """The findings, with the sight that follows from what could not be followed."""
        reasons = [*self.calls_unseen, *self.partial, *self.unknown_calls]
        sight: Sight = "full" if not reasons else "partial"
        if self.opaque:
            sight, reasons = "opaque", [self.opaque]
        # Long constants of code without any model are log lines, not prompts.
        may_prompt = bool(self.models or self.calls_unseen or self.unknown_calls)
        prompts = {**self.prompts, **(self.code_texts if may_prompt else {})}
        return Findings(
            models=tuple(self.models.values()),
            chats=dict(self.chats),
            prompts=tuple(prompts),
            tools=tuple(self.tools.values()),
            output_schema=self.output_schema,
            reads=None if self.reads is None else frozenset(self.reads),
            writes=tuple(self.writes),
            gotos=tuple(self.gotos),
            parent_gotos=tuple(self.parent_gotos),
            has_open_goto=self.has_open_goto,
            sends=tuple(self.sends),
            has_open_send=self.has_open_send,
            returned=None if self.returned is None else tuple(self.returned),
            strings=frozenset(self.strings),
            subgraphs=tuple(self.subgraphs),
            tasks=tuple(self.tasks),
            takes_images=self.takes_images,
            runs_tools=self.runs_tools,
            is_tool_node=self.is_tool_node,
            calls_unseen=tuple(self.calls_unseen),
            calls_unknown=bool(self.unknown_calls),
            sight=sight,
            sight_reason="; ".join(reasons),
            warnings=tuple(self.warnings),
        )
