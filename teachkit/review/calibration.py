"""How far the posteriors of a label set keep their word on gold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.votes.calibration import PosteriorCalibration


def calibration_of(run: Executor, task: TaskInfo, node: Node, gold: Any) -> PosteriorCalibration | None:
    """Hold a label set that is built against gold codes (-1 where it is unknown, or not to be looked at).

    None if no gold is left to look at.
    """
    from teachkit.build.stored_votes import posteriors_of
    from teachkit.votes.label_data import calibration_on

    posterior, labels = posteriors_of(run, node, task)
    found = calibration_on(posterior, labels, gold)
    return found if found.items else None
