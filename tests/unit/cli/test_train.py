"""`graphroute train` after a break: what is finished is kept, and the weights are the same."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphroute.cli import run

_KILLED = """
import os, signal, sys
from graphroute.cli import run
from graphroute.scorers._checkpoint import Checkpoints
write = Checkpoints.write
def dying(self, name, arrays, count=[0]):
    write(self, name, arrays)
    count[0] += 1
    if count[0] == 6:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoints.write = dying
run(sys.argv[1:])
"""


def test_a_training_that_was_killed_goes_on_with_the_next_epoch_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    lines = ["prompt,weak,strong"]
    for i in range(90):
        hard = int(random.integers(2))
        lines.append(f"{'Prove the theorem' if hard else 'Add the apples'} {i},{1 - hard},1")
    data = tmp_path / "pairs.csv"
    data.write_text("\n".join(lines) + "\n")
    words = ["train", "--data", str(data), "--scorer", "encoder", "--out"]
    died = subprocess.run(
        [sys.executable, "-c", _KILLED, *words, str(tmp_path / "cut")],
        capture_output=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not (tmp_path / "cut").exists()
    # Four epochs of the first part are done and two of the second: those are not run again.
    from graphroute.scorers._checkpoint import Arrays, Checkpoints

    written: list[int] = []
    write = Checkpoints.write

    def watched(self: Checkpoints, name: str, arrays: Arrays) -> None:
        written.append(int(arrays["epochs"]))
        write(self, name, arrays)

    monkeypatch.setattr(Checkpoints, "write", watched)
    assert run([*words, str(tmp_path / "cut")]) == 0
    assert written[:3] == [3, 4, 1]
    assert len(written) == 4 * 5 - 6
    assert run([*words, str(tmp_path / "whole")]) == 0
    for name in ("weights.npz", "card.json"):
        cut, whole = (tmp_path / out / name for out in ("cut", "whole"))
        assert cut.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "pairs.csv", "whole"]
