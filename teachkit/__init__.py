"""teachkit: labels as build artefacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from teachkit.api import Project
    from teachkit.labeling import labeling_function

__all__ = ["Project", "__version__", "labeling_function"]


def __getattr__(name: str) -> Any:
    """Load the public names on use: importing teachkit stays cheap."""
    if name == "Project":
        from teachkit.api import Project

        return Project
    if name == "labeling_function":
        from teachkit.labeling import labeling_function

        return labeling_function
    raise AttributeError(f"module 'teachkit' has no attribute '{name}'")
