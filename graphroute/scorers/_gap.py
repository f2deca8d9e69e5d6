"""How much the strong model of a pair adds on a prompt, learned from what the prompt looks like.

A family predicts each model's success; their difference is small beside what is hard for both, and
gets lost in two fits. So the difference itself is learned as well, from `LOOKS`, in two ways: by
boosted trees, which need labels of the same form of prompt, and by ridge regression, which carries
over to other forms. The sum of all three is brought to scale on prompts left out of the fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.scorers import _store, _trees
from graphroute.scorers._forms import FORMS, forms_of
from graphroute.scorers._looks import LOOKS, looks

LEAST: Final = 200
"""With fewer prompts that both models answered there is no head."""
_PENALTY = 1000.0
_ENOUGH = 1500.0
_REACH = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gap:
    """Looks of a prompt to what the strong model adds; see the module's docstring.

    centre[LOOKS], scale[LOOKS], weights[LOOKS]: the ridge regression
    trees: success of the weak and of the strong model
    trained[FORMS]: prompts of each form; middle, slope: of the sum on prompts left out
    """

    centre: Floats
    scale: Floats
    weights: Floats
    trees: _trees.Trees
    trained: Floats
    middle: float = 0.0
    slope: float = 1.0
    mean: float = 0.0

    def added(self, prompts: Sequence[str]) -> Floats:
        """What the looks of prompts add to a family's gap, [n]."""
        x = looks(prompts)
        off = np.clip((x - self.centre) / self.scale, -_REACH, _REACH)
        # Where a form has many labels the trees have found all that the regression has.
        share = _ENOUGH / (_ENOUGH + self.trained)
        both = np.array([self.trees.one(row) for row in x.astype(np.float32)]).reshape(-1, 2)
        return np.asarray(off @ self.weights * share[forms_of(prompts)] + both[:, 1] - both[:, 0])

    def of(self, prompts: Sequence[str], family: Floats) -> Floats:
        """gap[n] in [−1, 1] of prompts, given the gap that the family predicts."""
        total = family + self.added(prompts) - self.middle
        return np.asarray(np.clip(self.mean + self.slope * total, -1.0, 1.0))

    def scaled(self, total: Floats, outcome: Floats) -> Gap:
        """With middle and slope by least squares on prompts that were left out.

        total[n]: the family's gap there and what their looks add; outcome[n]: strong minus weak
        """
        off = total - total.mean()
        slope = float(off @ (outcome - outcome.mean())) / max(float(off @ off), 1e-12)
        # A slope of 0 would leave nothing to rank by.
        return replace(
            self,
            middle=float(total.mean()),
            slope=min(max(slope, 0.1), 1.0),
            mean=float(outcome.mean()),
        )

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Plain arrays to be stored."""
        return {
            "gap_centre": self.centre,
            "gap_scale": self.scale,
            "gap_weights": self.weights,
            "gap_line": np.array([self.middle, self.slope, self.mean]),
            **self.trees.arrays(),
        }

    @classmethod
    def restored(
        cls, arrays: Mapping[str, NDArray[Any]], folder: Path, *, trained: Floats
    ) -> Gap | None:
        """From stored arrays; None where there are none; `InvalidValue` if they do not fit."""
        if "gap_weights" not in arrays:
            return None
        sizes = {name: len(LOOKS) for name in ("centre", "scale", "weights")}
        sizes["line"] = 3
        found = {
            name: _store.array(arrays, f"gap_{name}", ndim=1, folder=folder).astype(np.float64)
            for name in sizes
        }
        if (
            any(len(found[name]) != size for name, size in sizes.items())
            or (found["scale"] <= 0).any()
        ):
            raise InvalidValue(
                f"weights in {folder.name!r}: looks of prompts of another number than expected",
                path=str(folder),
                next_step="train again with this version",
            )
        middle, slope, mean = found.pop("line").tolist()
        trees = _trees.Trees.restored(arrays, folder, inputs=len(LOOKS), outputs=2)
        return cls(**found, trained=trained, trees=trees, middle=middle, slope=slope, mean=mean)


def fit(
    prompts: Sequence[str], pair: Floats, *, seed: int, progress: Callable[[float], None]
) -> Gap:
    """From pair[n, 2], the outcomes of the weak and the strong model, both known."""
    x = looks(prompts)
    centre, scale = x.mean(0), x.std(0) + 1e-2
    off = np.clip((x - centre) / scale, -_REACH, _REACH)
    gap = pair[:, 1] - pair[:, 0]
    inner = off.T @ off + _PENALTY * np.eye(len(LOOKS))
    return Gap(
        centre=centre,
        scale=scale,
        weights=np.linalg.solve(inner, off.T @ (gap - gap.mean())),
        trees=_trees.fit(x.astype(np.float32), pair - pair.mean(0), seed=seed, progress=progress),
        trained=np.bincount(forms_of(prompts), minlength=len(FORMS)).astype(np.float64),
    )
