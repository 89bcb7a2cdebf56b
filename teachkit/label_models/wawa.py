"""Worker agreement with aggregate."""

from __future__ import annotations

from typing import Any, ClassVar

from teachkit.label_models.skills import SkillModel


class Wawa(SkillModel):
    """A voter's skill is how often it agrees with the majority (worker agreement with aggregate, Appen's term).

    One step: majority, skills, weighted vote, as in crowd-kit; a majority that ties counts in equal parts. Cheap,
    hard to break, and little better than majority; ``weighted`` makes odds of the same figure.
    """

    name: ClassVar[str] = "wawa"
    version: ClassVar[int] = 1
    closed: ClassVar[bool] = True

    def _skills(self, before: Any, agreement: Any) -> Any:
        return agreement
