from __future__ import annotations

import copy
import pickle

import pytest

from graphroute import errors
from graphroute.errors import BudgetExceeded, GraphrouteError, UnknownNode


def test_facts_are_attributes_and_the_message_ends_in_the_next_step() -> None:
    error = BudgetExceeded("node 'a' is too dear", node="a", limit_usd=0.1, next_step="add money")
    assert str(error) == "node 'a' is too dear; add money"
    assert (error.node, error.limit_usd, error.next_step) == ("a", 0.1, "add money")
    with pytest.raises(AttributeError):
        _ = error.colour


@pytest.mark.parametrize("again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_cross_processes_whole(again) -> None:  # type: ignore[no-untyped-def]
    error = UnknownNode("no node 'x'", node="x", known=("y",), next_step="use 'y'")
    twin = again(error)
    assert type(twin) is UnknownNode
    assert str(twin) == str(error)
    assert dict(twin.facts) == dict(error.facts)
    assert twin.next_step == "use 'y'"


def test_every_error_is_in_the_drawn_tree() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, GraphrouteError):
            assert name in (errors.__doc__ or "")
