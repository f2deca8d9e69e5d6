"""A GGUF file served by llama.cpp from this process: no server to install, start or stop.

`"llamacpp:/models/tiny.gguf"` serves the file with its own chat template. What else may be said of
a file is a `Gguf`:

```python
from graphroute.providers import llamacpp

tiny = llamacpp.chat(llamacpp.Gguf(path="/models/tiny.gguf", alias="tiny"), temperature=0)
fast = optimize(graph, models=[tiny, "openai:gpt-5-mini"])
```

The header of the file is read for a plan; the model is loaded when a call first needs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from graphroute.errors import InvalidValue, UnknownModel
from graphroute.ir.catalog import Capability, Model
from graphroute.protocols import Health, Offer
from graphroute.providers import _prices
from graphroute.providers._gguf import GgufFacts, read
from graphroute.providers._llama_server import Gguf, close, is_serving
from graphroute.providers._spec import Facts, spec
from graphroute.providers._templates import (
    FEW_SHOT_STOP,
    TOOLS,
    few_shot,
    is_few_shot,
    overhead_tokens,
)

if TYPE_CHECKING:
    from graphroute.providers._llama_chat import LlamaCppChat

__all__ = ["FEW_SHOT_STOP", "TOOLS", "Gguf", "LlamaCpp", "build", "chat", "close", "few_shot"]

REQUIRES = ("xllamacpp", "langchain_openai")
EXTRA = "local"
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)


def chat(gguf: Gguf, **settings: Any) -> LlamaCppChat:
    """A chat model that loads the file on its first call; `settings` as those of `ChatOpenAI`."""
    # Imported here: langchain-openai takes half a second, which planning need not spend.
    from graphroute.providers._llama_chat import make

    return make(gguf, **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCpp:
    """Embedded models; `files` are the ones known by alias."""

    files: Mapping[str, Gguf]
    name: str = "llamacpp"

    def offer(self, model: Model) -> Offer:
        """Facts from the file's header; nothing is loaded."""
        held = getattr(model.chat, "gguf", None)
        gguf = held if isinstance(held, Gguf) else self._file(model)
        facts = read(gguf.path)
        here = True if model.local is None else model.local
        context = min(gguf.context_tokens, facts.context_tokens or gguf.context_tokens)
        template = gguf.template or facts.chat_template
        estimate = overhead_tokens(template)
        found = Facts(
            provider=self.name,
            local=here,
            price=_prices.resolve(model, local=here),
            context_tokens=context,
            max_output_tokens=min(gguf.max_output_tokens, context),
            capabilities=_capabilities(template),
            memory_bytes=_memory(facts, gguf),
            parameters=facts.parameters,
            quantization=facts.quantization,
            loaded=is_serving(gguf),
            latency_s=0.3,
            tokens_per_s=20.0,
            overhead_tokens=estimate if gguf.overhead_tokens is None else gguf.overhead_tokens,
            single_turn=is_few_shot(template),
            slots=gguf.slots,
        )
        served = model.chat
        if held is gguf and isinstance(served, BaseChatModel):
            return Offer(spec=spec(model, found), open=lambda: served)
        return Offer(spec=spec(model, found), open=lambda: chat(gguf))

    def _file(self, model: Model) -> Gguf:
        text = model.name.partition(":")[2]
        if not text:
            raise InvalidValue(
                f"model name {model.name!r}",
                model=model.name,
                next_step="use 'llamacpp:/path/to/model.gguf'",
            )
        if text in self.files:
            return self.files[text]
        path = Path(os.path.expanduser(text))
        # Unlike Path.is_file, this one takes any text for a name of no file.
        if not os.path.isfile(path):
            known = tuple(sorted(self.files))
            raise UnknownModel(
                f"no file for model {model.name!r}",
                model=model.name,
                known=known,
                next_step="give the path of a GGUF file"
                + (f", or one of {', '.join(known)}" if known else ""),
            )
        return Gguf(path=path, alias=text)

    def discover(self) -> tuple[Model, ...]:
        """The files this provider was given."""
        return tuple(Model(f"llamacpp:{alias}") for alias in sorted(self.files))

    def health(self) -> Health:
        """Whether the runtime is installed."""
        if find_spec("xllamacpp") is None:
            return Health(
                is_ok=False,
                detail="the package xllamacpp is missing",
                next_step="run: pip install 'graphroute[local]'",
            )
        return Health(is_ok=True, detail="xllamacpp is installed; GGUF files are served embedded")

    def close(self) -> None:
        """Stop the servers of this provider's files."""
        close([gguf.path for gguf in self.files.values()])


def build(*, files: Sequence[Gguf] = ()) -> LlamaCpp:
    """Embedded models; `files` can then be named by their alias."""
    return LlamaCpp(files={gguf.model: gguf for gguf in files})


def _capabilities(template: str | None) -> frozenset[Capability]:
    # A grammar holds any model to a JSON schema; tools must be told by the template.
    found: set[Capability] = {"structured_output"}
    if template is not None and "tools" in template:
        found.add("tools")
    return frozenset(found)


def _memory(facts: GgufFacts, gguf: Gguf) -> int:
    return facts.file_bytes + gguf.slots * gguf.context_tokens * facts.kv_bytes_per_token
