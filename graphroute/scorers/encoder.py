"""A small transformer encoder with one output per model: RouteLLM's "BERT classifier", N-way.

RouteLLM fine-tunes BERT-base (I. Ong et al., RouteLLM, 2024, §4.2), which takes a GPU and a
download. This one reads hashed words with one layer of self-attention over the first 256 of them
and is trained from nothing on the outcomes, on a CPU, in minutes. It is here because users know
the family; where it does not beat the linear scorer, the evaluation says so. Needs torch to run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers import _store
from graphroute.scorers._checkpoint import Checkpoints, training_name
from graphroute.scorers._hashing import words_of
from graphroute.scorers._trained import Progress, TrainedScorer

if TYPE_CHECKING:
    import torch

REQUIRES: Final[tuple[str, ...]] = ("torch",)
EXTRA: Final = "train"
EXAMPLES: Final[tuple[dict[str, object], ...]] = ()
_VOCABULARY = 1 << 14
_LENGTH = 256
_BATCH = 64
_RATE = 2e-3


class EncoderScorer(TrainedScorer):
    """Log-odds of each model from a transformer encoder.

    width: of the word vectors, a multiple of 4 in 16 … 512; epochs ≥ 1
    """

    name = "encoder"

    def __init__(self, *, width: int = 64, epochs: int = 4) -> None:
        super().__init__()
        if width % 4 or not 16 <= width <= 512 or epochs < 1:
            raise InvalidValue(
                f"width={width!r}, epochs={epochs!r}",
                next_step="use a width of 16 to 512, a multiple of 4, and epochs ≥ 1",
            )
        self._width, self._epochs = int(width), int(epochs)
        self._net: torch.nn.Module | None = None
        self._checkpoints = Checkpoints(None)

    def keep_epochs(self, folder: Path) -> None:
        """Keep each finished epoch in `folder`, and go on from there if a fit was cut off."""
        self._checkpoints = Checkpoints(folder)

    def _blank(self) -> EncoderScorer:
        part = EncoderScorer(width=self._width, epochs=self._epochs)
        part._checkpoints = self._checkpoints
        return part

    def _settings(self) -> Mapping[str, object]:
        return {"width": self._width, "epochs": self._epochs}

    def _fit_raw(self, data: Outcomes, *, seed: int, progress: Progress) -> None:
        torch = _torch()
        torch.manual_seed(seed)
        net = _network(self._width, len(data.models))
        words = torch.from_numpy(_padded(data.prompts))
        correct = torch.from_numpy(data.correct.astype(np.float32))
        known, target = torch.isfinite(correct), torch.nan_to_num(correct)
        mean = target.sum(0) / known.sum(0).clamp(min=1)
        with torch.no_grad():
            net[-1].bias.copy_(torch.logit(mean.clamp(0.02, 0.98)))
        optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.05)
        random, n = np.random.default_rng(seed), len(data.prompts)
        steps, step = self._epochs * ((n + _BATCH - 1) // _BATCH), 0
        net.train()
        name = training_name(data, family=self.name, settings=dict(self._settings()), seed=seed)
        done = _resumed(net, optimizer, self._checkpoints.read(name))
        for epoch in range(self._epochs):
            # Drawn for finished epochs too, so that the others get the order they would have had.
            order = torch.from_numpy(random.permutation(n))
            if epoch < done:
                step += (n + _BATCH - 1) // _BATCH
                continue
            for part in order.split(_BATCH):
                cells = torch.nn.functional.binary_cross_entropy_with_logits(
                    net(words[part]), target[part], reduction="none"
                )
                loss = (cells * known[part]).sum() / known[part].sum().clamp(min=1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.param_groups[0]["lr"] = _RATE * (1 - step / steps)
                optimizer.step()
                step += 1
                progress("fitting", step / steps)
            self._checkpoints.write(name, _state(net, optimizer, epoch + 1))
        self._net = net.eval()

    def _raw(self, prompts: Sequence[str]) -> Floats:
        torch = _torch()
        if self._net is None:
            self._fitted()
            raise AssertionError("a trained scorer has a network")
        parts = []
        with torch.no_grad():
            for start in range(0, len(prompts), _BATCH):
                words = torch.from_numpy(_padded(prompts[start : start + _BATCH]))
                parts.append(self._net(words).numpy().astype(np.float64))
        return np.concatenate(parts)

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        self._fitted()
        assert self._net is not None
        return {
            f"net.{name}": value.numpy().astype(np.float16)
            for name, value in self._net.state_dict().items()
        }

    def _restore(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        torch = _torch()
        settings = self._card.get("settings", {})
        self._width = int(settings.get("width", self._width))
        net = _network(self._width, len(self.models))
        state = {}
        for name, value in net.state_dict().items():
            found = _store.array(arrays, f"net.{name}", ndim=value.ndim, folder=folder)
            if found.shape != tuple(value.shape):
                raise InvalidValue(
                    f"weights in {folder.name!r}: {name} of another shape than expected",
                    path=str(folder),
                    next_step="train again with this version",
                )
            state[name] = torch.from_numpy(found.astype(np.float32))
        net.load_state_dict(state)
        self._net = net.eval()


def _network(width: int, outputs: int) -> Any:
    torch = _torch()

    class Reader(torch.nn.Module):  # type: ignore[misc,name-defined]
        """Words and places to one vector: attention, then the mean over the words there are."""

        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(_VOCABULARY + 1, width, padding_idx=0)
            self.places = torch.nn.Embedding(_LENGTH, width)
            self.layer = torch.nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.2, batch_first=True, norm_first=True
            )

        def forward(self, words: Any) -> Any:
            # An empty prompt has one place, or attention would divide by nothing.
            is_empty = words == 0
            is_empty[:, 0] = False
            x = self.words(words) + self.places(torch.arange(words.shape[1]))
            x = self.layer(x, src_key_padding_mask=is_empty)
            kept = (~is_empty)[:, :, None]
            return (x * kept).sum(1) / kept.sum(1)

    return torch.nn.Sequential(Reader(), torch.nn.Dropout(0.3), torch.nn.Linear(width, outputs))


def _state(net: Any, optimizer: Any, epochs: int) -> dict[str, NDArray[Any]]:
    """All that the next epoch depends on: weights, the optimizer's means, the draws of dropout."""
    torch = _torch()
    found = {"epochs": np.array(epochs), "draws": torch.get_rng_state().numpy()}
    found |= {f"net.{name}": value.numpy() for name, value in net.state_dict().items()}
    for k, state in optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{k}.{name}": value.numpy() for name, value in state.items()}
    return found


def _resumed(net: Any, optimizer: Any, kept: Mapping[str, NDArray[Any]] | None) -> int:
    """The number of epochs that are done, with everything as it was after them."""
    if kept is None:
        return 0
    torch = _torch()
    net.load_state_dict({name: torch.from_numpy(kept[f"net.{name}"]) for name in net.state_dict()})
    state: dict[int, dict[str, Any]] = {}
    for key, value in kept.items():
        if key.startswith("optimizer."):
            _, k, name = key.split(".")
            state.setdefault(int(k), {})[name] = torch.from_numpy(np.array(value))
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    torch.set_rng_state(torch.from_numpy(kept["draws"]))
    return int(kept["epochs"])


def _padded(prompts: Sequence[str]) -> NDArray[np.int64]:
    rows = [words_of(prompt)[:_LENGTH] % _VOCABULARY + 1 for prompt in prompts]
    out = np.zeros((len(rows), max(1, *(len(row) for row in rows))), np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def _torch() -> Any:
    try:
        import torch as found
    except ImportError as error:
        raise ProviderUnavailable(
            "scorer 'encoder' needs torch", next_step="pip install 'graphroute[train]'"
        ) from error
    return found


def untrained(*, width: int = 64, epochs: int = 4) -> EncoderScorer:
    """A scorer to be fitted."""
    return EncoderScorer(width=width, epochs=epochs)


def build(weights: str | Path | None = None) -> EncoderScorer:
    """The scorer with the weights in the folder `weights`; none ship."""
    scorer = EncoderScorer()
    return scorer.load(Path(weights)) if weights is not None else scorer
