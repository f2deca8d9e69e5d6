"""Where mf and similarity get their prompt vectors from.

| name | dim | needs | about |
|---|---|---|---|
| `lexical` | learned | nothing | hashed words; the default |
| `wordllama` | 256 | package `wordllama` (extra `embed`) | static vectors, 0.2 ms, no torch |
| `ollama:MODEL` | the model's | a running Ollama | stays on this machine |

Vectors come scaled to length 1. Nothing is sent anywhere but to a loopback Ollama when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import numpy as np

from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.ir.problem import Floats

Embed = Callable[[Sequence[str]], Floats]
_LONGEST = 4000


def named(source: str) -> Embed:
    """The embedding called `source`; `InvalidValue` if nobody knows it."""
    if source == "wordllama":
        return _wordllama
    if source.startswith("ollama:"):
        model = source.partition(":")[2]
        return lambda prompts: _ollama(model, prompts)
    raise InvalidValue(
        f"embedding {source!r}",
        value=source,
        next_step="use 'lexical', 'wordllama' or 'ollama:MODEL'",
    )


def _wordllama(prompts: Sequence[str]) -> Floats:
    tokenizer, table = _wordllama_files()
    out = np.zeros((len(prompts), table.shape[1]))
    texts = [prompt[:_LONGEST] for prompt in prompts]
    for i, found in enumerate(tokenizer.encode_batch(texts, add_special_tokens=False)):
        if found.ids:
            out[i] = table[found.ids].mean(0)
    return _unit(out)


@cache
def _wordllama_files() -> tuple[Any, Any]:
    if find_spec("wordllama") is None:
        raise ProviderUnavailable(
            "embedding 'wordllama' needs the package wordllama",
            next_step="pip install 'graphroute[embed]'",
        )
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    # Read directly: the package's own loader looks for its files on the network.
    root = files("wordllama")
    text = (root / "tokenizers" / "l2_supercat_tokenizer_config.json").read_text(encoding="utf-8")
    arrays = load((root / "weights" / "l2_supercat_256.safetensors").read_bytes())
    (table,) = arrays.values()
    return Tokenizer.from_str(text), table.astype(np.float32)


def _ollama(model: str, prompts: Sequence[str]) -> Floats:
    import ollama

    try:
        found = ollama.embed(model=model, input=[prompt[:_LONGEST] for prompt in prompts])
    except (ollama.ResponseError, ConnectionError) as error:
        raise ProviderUnavailable(
            f"embedding 'ollama:{model}' cannot be had ({error})",
            model=model,
            next_step=f"start Ollama and run: ollama pull {model}",
        ) from error
    return _unit(np.array(found.embeddings, dtype=np.float64))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
