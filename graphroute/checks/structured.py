"""Is it data: JSON that parses, or a value that fits a schema?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from graphroute.checks.reading import data_of, reason_of
from graphroute.checks.text import failed, passed
from graphroute.errors import InvalidValue
from graphroute.ir.verdict import Verdict

_KEYS: Final = frozenset(
    {"required", "properties", "patternProperties", "additionalProperties", "propertyNames",
     "minProperties", "maxProperties", "dependentRequired", "dependentSchemas"}
)  # fmt: skip
"""Keywords that say something of the keys of an object."""


@dataclass(frozen=True, slots=True)
class IsJson:
    """The reply is JSON, alone or as its one fenced block; a tool call counts too.

    >>> IsJson()([], '{"topic": "billing"}').passed, IsJson()([], "topic: billing").passed
    (True, False)
    """

    is_quick: ClassVar[bool] = True

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        try:
            data_of(reply)
        except ValueError as fault:
            return failed(f"it is not JSON ({reason_of(fault)})")
        return passed()


@dataclass(frozen=True, slots=True)
class Fits:
    """The reply's data fits `schema`: a pydantic model, any type pydantic knows, or a JSON Schema.

    Nothing is looked up elsewhere: a `$ref` to another document is a fault of the schema. One that
    says which keys there are and states no `type` means an object; by the letter of JSON Schema it
    would take any list and any text.

    >>> check = Fits({"type": "object", "required": ["topic"]})
    >>> check([], '{"topic": "billing"}').passed, check([], "{}").reason
    (True, "'topic' is a required property")
    """

    schema: Any
    _judge: Any = field(init=False, repr=False, compare=False)
    is_quick: ClassVar[bool] = True

    def __post_init__(self) -> None:
        build = _by_json_schema if isinstance(self.schema, Mapping) else _by_pydantic
        object.__setattr__(self, "_judge", build(self.schema))

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        try:
            value = data_of(reply)
        except ValueError as fault:
            return failed(f"it is not JSON ({reason_of(fault)})")
        fault_found: str | None = self._judge(value)
        return passed() if fault_found is None else failed(fault_found)


def _by_json_schema(schema: Mapping[str, Any]) -> Any:
    # Imported here: only checks that use a JSON Schema need the package loaded.
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as fault:
        raise InvalidValue(
            f"the JSON Schema is not valid ({fault.message})", next_step="mend it"
        ) from None
    if _KEYS & schema.keys() and "type" not in schema:
        schema = {**schema, "type": "object"}
    # A registry of its own that fetches nothing: the default one would ask the network.
    validator = kind(schema, registry=Registry())

    def judge(value: Any) -> str | None:
        found = best_match(validator.iter_errors(value))
        return None if found is None else _placed(found.message, found.absolute_path)

    return judge


def _by_pydantic(schema: Any) -> Any:
    from pydantic import PydanticUserError, TypeAdapter, ValidationError
    from pydantic.errors import PydanticSchemaGenerationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(schema)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as fault:
        raise InvalidValue(
            f"{schema!r} is no schema ({reason_of(fault)})",
            value=schema,
            next_step="give a pydantic model, a type, or a JSON Schema as a dict",
        ) from None

    def judge(value: Any) -> str | None:
        try:
            adapter.validate_python(value)
        except ValidationError as fault:
            first = fault.errors(include_url=False, include_input=False)[0]
            return _placed(first["msg"], first["loc"])
        return None

    return judge


def _placed(message: str, place: Any) -> str:
    where = ".".join(map(str, place))
    return f"{where}: {message}" if where else message
