"""teachkit: labels as build artefacts."""

from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names
from teachkit.version import __version__

if TYPE_CHECKING:
    from teachkit.api import Project
    from teachkit.labeling import labeling_function

__all__ = ["Project", "__version__", "labeling_function"]
__getattr__ = lazy_names(__name__, {"api": ("Project",), "labeling": ("labeling_function",)})
