"""What every field of a schema has in common: its options, and the way a value is checked.

A field is declared once and never changes; one instance may stand in several schemas. A value goes through it in one
direction: given value -> ``convert`` (the type) -> ``check_limits`` -> the validators -> ``to_stored``. Errors are
collected in a list and never raised, so that a row can report all of them. ``RowChecker`` in ``validation`` calls this
code only when its fast path refuses a row; the meaning of a field is what stands here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NoReturn,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
)

from minidb.exceptions import FieldError, SchemaDefinitionError

if TYPE_CHECKING:
    from inspect import Signature

ValueT = TypeVar("ValueT")
FieldT = TypeVar("FieldT", bound="AnyField")

Errors: TypeAlias = list[FieldError]


class Unset(Enum):
    """The type of ``UNSET``, which stands for a default that was not given (None is a default too)."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET

MUST_BE_GIVEN: Final = object()
"""Stands for the default of an option that has none."""

_FLAGS = ("required", "unique", "index", "primary_key")


@dataclass_transform(eq_default=False, frozen_default=True, kw_only_default=True)
def with_options(*, kw_only: bool = True) -> Callable[[type[FieldT]], type[FieldT]]:
    """Make the annotated names of a class its options, whose defaults are the values beside them.

    To a type checker this is ``dataclass``; but that compiles an ``__init__`` for each class whenever it is imported.
    ``kw_only=False`` is for options that may also be given by position.
    """

    def declare(declared: type[FieldT]) -> type[FieldT]:
        own = {
            name: vars(declared).get(name, MUST_BE_GIVEN)
            for name, annotation in declared.__annotations__.items()
            if not annotation.startswith("ClassVar")
        }
        declared.option_defaults = {**getattr(declared, "option_defaults", {}), **own}
        declared.positional_options = () if kw_only else tuple(own)
        return declared

    return declare


class _Signature:
    """What ``help`` shows of a class of fields: its options, where these are all that it takes."""

    def __get__(self, field: object, field_class: type[AnyField]) -> Signature:
        if field_class.__init__ is not Field.__init__:
            raise AttributeError("an __init__ of its own says what it takes")
        from inspect import Parameter, Signature

        defaults, first = field_class.option_defaults, field_class.positional_options
        parameters = []
        for name in (*first, *(name for name in defaults if name not in first)):
            kind = Parameter.POSITIONAL_OR_KEYWORD if name in first else Parameter.KEYWORD_ONLY
            default = Parameter.empty if defaults[name] is MUST_BE_GIVEN else defaults[name]
            parameters.append(Parameter(name, kind, default=default))
        return Signature(parameters)


@with_options()
class Field(ABC, Generic[ValueT]):
    """One column of a schema. Declare one of its subclasses; the options here are common to all of them.

    Raises ``SchemaDefinitionError`` when the options contradict each other.
    """

    required: bool = False
    """The column must be given, unless it has a default."""

    default: ValueT | Literal[Unset.UNSET] | None = UNSET
    """The value of a column that is not given. Lists and dicts are copied for each row."""

    default_factory: Callable[[], ValueT | None] | None = None
    """Called for each row that does not give the column. Not stored with the table."""

    nullable: bool | None = None
    """Whether None may stand in the column. None means: exactly when the column is not required."""

    unique: bool = False
    """No two rows have the same value, except None. Makes an index."""

    index: bool = False
    """Makes an index, for queries by this column."""

    primary_key: bool = False
    """The column is the id of its row, or a part of it. Implies ``required``."""

    validators: Sequence[Callable[[ValueT], object]] = ()
    """Called in order with each value that passed the other checks, never with None. A validator refuses a value by
    raising ``ValueError`` or ``AssertionError``, whose text becomes the message, or by returning something false other
    than None. Not stored with the table. It may be called more than once for a row: let it have no side effects."""

    renamed_from: str | Sequence[str] | None = None
    """The name that the column had before, or several, the latest first. A table that is stored with such a name gives
    the column the values that are there; to a table that has the new name it says nothing."""

    computed: Callable[[Mapping[str, Any]], ValueT | None] | None = None  # Any: columns have the types of their fields
    """Called for each row that is written, with its columns, to make the value of this one; of other computed columns
    it sees those declared before it. What a row gives for the column counts for nothing. The value is stored, so it can
    be indexed; the callable is not stored with the table. It refuses a row as a validator does."""

    kind: ClassVar[str]
    """The name of the type in a stored schema. Stored on disk: never rename."""

    noun: ClassVar[str]
    """What a value is, for messages: "a string"."""

    is_indexable: ClassVar[bool] = True
    """Whether the values, or of lists the elements, have a place in the order of keys, so that they can be indexed."""

    is_key_value: ClassVar[bool] = True
    """Whether a value can be part of a primary key."""

    option_defaults: ClassVar[Mapping[str, object]]
    """The options by name, in the order of declaration."""

    positional_options: ClassVar[tuple[str, ...]]
    """The options that may be given by position."""

    __signature__: ClassVar = _Signature()

    if not TYPE_CHECKING:  # a type checker makes its own of the options

        def __init__(self, *values: object, **options: object) -> None:
            own, kind = self.positional_options, type(self).__name__
            if len(values) > len(own) or not options.keys().isdisjoint(own[: len(values)]):
                raise TypeError(f"{kind} takes by position: {', '.join(own) or 'nothing'}, and each option once")
            options.update(zip(own, values, strict=False))
            if unknown := options.keys() - self.option_defaults.keys():
                raise TypeError(f"{kind} has no option {', '.join(sorted(unknown))}")
            for name in own:
                if name not in options and self.option_defaults[name] is MUST_BE_GIVEN:
                    raise TypeError(f"{kind} needs the option {name}")
            vars(self).update(options)  # defaults are found in the class
            self.__post_init__()

        def __setattr__(self, name: str, value: object) -> None:
            self._refuse_change(name)
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            self._refuse_change(name)
            object.__delattr__(self, name)

    def __post_init__(self) -> None:
        given = vars(
            self
        )  # most options of most fields are not, and the schemas of a database are read when it is opened
        for name in _FLAGS:
            if name in given and not isinstance(given[name], bool):
                self.contradict(f"The option {name} must be True or False")
        if not (self.nullable is None or isinstance(self.nullable, bool)):
            self.contradict("The option nullable must be True, False or None")
        if "validators" in given or "default_factory" in given:
            self._declare_validators()
        self._declare_former_names()
        self._declare_computed()
        self._declare_key()
        self.declare_limits()
        self._declare_default()

    @property
    def is_nullable(self) -> bool:
        """Whether None may stand in the column."""
        return (not self.required) if self.nullable is None else self.nullable

    @property
    def is_made(self) -> bool:
        """Whether the table makes the value, and the program cannot set it."""
        return self.computed is not None

    @property
    def has_default(self) -> bool:
        return self.default is not UNSET or self.default_factory is not None

    @property
    def is_restored(self) -> bool:
        """Whether a stored value differs from the value that the user sees, so that ``from_stored`` must be called."""
        return False

    @abstractmethod
    def convert(self, value: object, path: str, errors: Errors) -> ValueT | None:
        """Give the value its plain type, or add an error and return None. The value is never None."""

    def check_limits(self, value: ValueT, path: str, errors: Errors) -> None:
        """Add an error for each limit that the value breaks."""

    def run_validators(self, value: ValueT, path: str, errors: Errors) -> None:
        """Add an error for each validator that refuses the value."""
        for validator in self.validators:
            try:
                answer = validator(value)
            except (ValueError, AssertionError) as refusal:
                message = str(refusal) or f"was refused by {name_of(validator)}"
                errors.append(FieldError(path, "validator", message, value))
            else:
                if answer is not None and not answer:
                    errors.append(FieldError(path, "validator", f"was refused by {name_of(validator)}", value))

    def to_stored(self, value: ValueT) -> object:
        """Return the value that is stored for a checked one."""
        return value

    def from_stored(self, value: object) -> object:
        """Return the value that the user sees for a stored one that is not None."""
        return value

    def check(self, value: object, path: str, errors: Errors) -> ValueT | None:
        """Return the checked value as the user sees it. What is wrong is added to ``errors``; then None is returned."""
        if value is None:
            if not self.is_nullable:
                errors.append(FieldError(path, "null", "must not be None"))
            return None
        count_before = len(errors)
        converted = self.convert(value, path, errors)
        if converted is None:
            return None
        self.check_limits(converted, path, errors)
        if len(errors) == count_before:
            self.run_validators(converted, path, errors)
        return converted if len(errors) == count_before else None

    def check_to_stored(self, value: object, path: str, errors: Errors) -> object:
        """Return the checked value as it is stored; None when something was added to ``errors``."""
        checked = self.check(value, path, errors)
        return None if checked is None else self.to_stored(checked)

    def given_options(self) -> dict[str, object]:
        """Return the options that differ from their defaults, by name, in the order of declaration."""
        options: dict[str, object] = {}
        for name, default in self.option_defaults.items():
            value = getattr(self, name)
            if value is not default and not (type(value) is type(default) and value == default):
                options[name] = value
        return options

    def __repr__(self) -> str:
        options = self.given_options()
        arguments = [repr(options.pop(name)) for name in self.positional_options if name in options]
        arguments += [f"{name}={value!r}" for name, value in options.items()]
        return f"{type(self).__name__}({', '.join(arguments)})"

    # --- for the subclasses -------------------------------------------------------------------------------------------

    def declare_limits(self) -> None:
        """Check the options of the subclass against each other, and bring them to their plain form."""

    def settle(self, option: str, value: object) -> None:
        """Set an option to its plain form while the field is being declared; a field is frozen afterwards."""
        object.__setattr__(self, option, value)

    def contradict(self, message: str) -> NoReturn:
        raise SchemaDefinitionError(f"{type(self).__name__}: {message}", field=None)

    def refuse_type(self, value: object, path: str, errors: Errors) -> None:
        """Add the error of a value that has the wrong type."""
        errors.append(FieldError(path, "type", f"must be {self.noun}, not {type(value).__name__}", value))

    def plain_option(self, option: str, value: object) -> Any:  # Any: it has the type of the option, checked right here
        """Return the value of an option that must have the type of the field, in its plain form."""
        errors: Errors = []
        plain = None if value is None else self.convert(value, option, errors)
        if plain is None:
            self.contradict(f"{option} {errors[0].message if errors else 'must not be None'}")
        return plain

    def _refuse_change(self, name: str) -> None:
        """Refuse to change an option. A program's own kind of field may have other attributes."""
        if name in self.option_defaults or "option_defaults" in vars(type(self)):
            raise AttributeError(f"A field never changes, and so not its {name}")

    # --- declaration --------------------------------------------------------------------------------------------------

    def _declare_validators(self) -> None:
        validators = cast(object, self.validators)  # whatever a program without type checks gave
        if not isinstance(validators, Sequence) or not all(map(callable, validators)):
            self.contradict("validators must be a sequence of callables")
        self.settle("validators", tuple(validators))
        if self.default_factory is not None and not callable(self.default_factory):
            self.contradict("default_factory must be a callable without arguments")

    def _declare_former_names(self) -> None:
        if self.renamed_from is None:
            return
        names = (self.renamed_from,) if isinstance(self.renamed_from, str) else cast(object, self.renamed_from)
        if not isinstance(names, Sequence) or not all(isinstance(name, str) and name for name in names):
            self.contradict("renamed_from must be the name of a column, or a sequence of such")
        self.settle("renamed_from", tuple(names))

    def _declare_computed(self) -> None:
        if self.computed is None:
            return
        if not callable(self.computed):
            self.contradict("computed must be a callable that takes the other columns")
        if self.primary_key or self.default_factory is not None:
            self.contradict("what is computed cannot be a primary key or have a default_factory")

    def _declare_key(self) -> None:
        if not self.is_indexable and (self.primary_key or self.unique or self.index):
            self.contradict("it has no order, so it cannot be a primary key, be unique or have an index")
        if self.primary_key and not self.is_key_value:
            self.contradict("it cannot be a primary key")
        if self.primary_key:
            if self.nullable:
                self.contradict("a primary key cannot be nullable")
            self.settle("required", value=True)

    def _declare_default(self) -> None:
        if self.default is UNSET:
            return
        if self.default_factory is not None:
            self.contradict("give default or default_factory, not both")
        errors: Errors = []
        checked = self.check(self.default, "default", errors)
        if errors:
            self.contradict(f"the default does not pass its own checks: {errors[0].field} {errors[0].message}")
        self.settle("default", checked)


AnyField: TypeAlias = Field[Any]  # Any: the fields of a schema have values of different types


def name_of(function: Callable[..., object]) -> str:
    """Return the qualified name of a callable, for messages and for the information in a stored schema."""
    module = getattr(function, "__module__", None) or type(function).__module__
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{name}"
