"""The passes in the order they run: each fills its own fields of `Facts` from the earlier ones."""

from __future__ import annotations

from graphroute.passes.critical_path import critical_path
from graphroute.passes.loops import loops
from graphroute.passes.parallel_groups import parallel_groups
from graphroute.passes.probabilities import probabilities
from graphroute.passes.roles import roles
from graphroute.passes.taint import taint
from graphroute.passes.tokens import tokens
from graphroute.passes.visits import visits

PASSES = (probabilities, visits, loops, roles, tokens, parallel_groups, critical_path, taint)
