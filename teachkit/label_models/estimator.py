"""The contract of scikit-learn's estimators, without it: parameters are what ``__init__`` takes and stores."""

from __future__ import annotations

import inspect
import math
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self


class Estimator:
    """Parameters by name, read from the signature of ``__init__``: ``sklearn.base.clone`` and searches rely on it."""

    sort: ClassVar[str | None] = "classifier"
    """What scikit-learn calls it; None: nothing that it has a name for."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Only of what there is not: what a fit learns ends in an underscore."""
            if name.endswith("_") and not name.startswith("_") and "voters_" not in vars(self):
                raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit first")
            raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters; with ``deep`` also those of parameters that have some, as ``name__parameter``."""
        found = {name: getattr(self, name) for name in _parameters(type(self))}
        if deep:
            for name, value in list(found.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    found |= {f"{name}__{inner}": given for inner, given in value.get_params().items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters, ``name__parameter`` those of a parameter; ``ValueError`` for one that there is not."""
        known = _parameters(type(self))
        nested: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            own, _, inner = name.partition("__")
            if own not in known:
                advice = f"its parameters: {', '.join(known) or 'none'}"
                raise ValueError(f"{type(self).__name__} has no parameter '{own}'; {advice}")
            if inner:
                nested.setdefault(own, {})[inner] = value
            else:
                setattr(self, own, value)
        for own, inner_params in nested.items():
            getattr(self, own).set_params(**inner_params)
        return self

    def _check(self) -> None:
        """Raise ``ValueError`` for a parameter that is no number where the default is one."""
        for name, parameter in _parameters(type(self)).items():
            value = getattr(self, name)
            wanted = type(parameter.default) in (int, float) or (name == "n_iter" and value is not None)
            if wanted and not is_number(value):
                raise ValueError(f"{name} is a number, not {value!r}")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn, from 1.6 on, asks of an estimator; only scikit-learn calls it."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        target, of_class = TargetTags(required=False), ClassifierTags() if self.sort == "classifier" else None
        return Tags(self.sort, target, classifier_tags=of_class, input_tags=InputTags())

    def __repr__(self) -> str:
        """The call that makes it, with the parameters that are not the defaults."""
        defaults = {name: p.default for name, p in _parameters(type(self)).items()}
        said = [f"{n}={v!r}" for n, v in self.get_params(deep=False).items() if not _same(v, defaults[n])]
        return f"{type(self).__name__}({', '.join(said)})"


def is_number(value: Any) -> bool:
    """Whether it is a finite number, of Python or numpy."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    found = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in list(found.items())[1:] if p.kind in named}


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and repr(value) == repr(default))
