"""Learning from runs: how good models are at nodes, which to try, and when something has changed.

| file | its job |
|---|---|
| `thompson`, `uniform` | plugins: which other model is worth a call (`protocols.Learner`) |
| `page_hinkley`, `adwin` | plugins: has a figure's mean moved? (`protocols.DriftDetector`) |
| `_sums` | records and verdicts → sums by graph, day, node and model |
| `_fold` | sums of many days → evidence, with forgetting |
| `_levels` | node × model ← node class × model ← the scorer's prior |
| `_lognormal` | cost, latency and tokens with their intervals |
| `_answers` | evidence while the graph runs |
| `_watch` | the streams of figures and their detectors |
| `_versions` | has another model been put behind a name? |
| `_kinds` | are the prompts of a node still of the kind they were? |
| `_allowance` | what may be spent on asking others |
| `_judged` | judged answers that a scorer can learn from |
| `_retrainer` | when to try to learn a better scorer |
| `_explorer` | which calls may be experimented with, and on whom |
"""

from __future__ import annotations
