"""What to do about an error, in words."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.graph import TaskInfo
    from teachkit.review.error_report import Share

_NAMED = 2  # so many voters are named


def advice_on(
    task: TaskInfo,
    fault: str,
    cell: str,
    gold: str,
    label: str | None,
    voters: Sequence[Share],
    outvoted: Sequence[Share],
) -> str:
    """Advice on the items of a cell that have one fault; ``voters`` and ``outvoted`` as in ``Fault``."""
    look = f"see: teachkit errors {task.name} --cell {shlex.quote(cell)}"
    if fault == "uncovered":
        if label == "given":
            return f"no voter speaks of it: write a labeling function that tells '{gold}'; {look}"
        rule = f"teachkit try --task {shlex.quote(task.name)} --label {shlex.quote(gold)} …"
        return f"no voter speaks of these: write a labeling function that says '{gold}' ({rule}); {look}"
    if fault == "wrong":
        functions = [share for share in voters if share.kind != "annotations"]
        named = "; ".join(_wrong(share) for share in (functions or voters)[:_NAMED])
        if not functions:
            return f"ask others about these, or let a curator decide; those who judged: {named}; {look}"
        return f"mend {named}; or add a labeling function that says '{gold}' here"
    if fault == "outvoted":
        heard = ", ".join(share.voter for share in outvoted[:_NAMED])
        if not voters:
            return f"{heard} said '{gold}' and others something else, a tie: add a voter that tells them apart"
        said = {share.voter for share in outvoted}
        turned = next((share for share in voters if share.voter in said), None)
        if turned is voters[0]:
            wrong = f"wrong in {turned.wrong:,} of {turned.votes:,} votes on gold"
            other = f"rather for '{label}'" if label in task.labels else "not for that"
            return (
                f"{turned.voter} said '{gold}' ({turned.items:,}), and the label model takes that {other} ({wrong}): "
                f"narrow it, or add a voter that says '{gold}' here"
            )
        against = "; ".join(_heavy(share) for share in voters[:_NAMED])
        people = all(share.kind == "annotations" for share in voters[:_NAMED])
        first = "let a curator decide" if people else "narrow that"
        return f"{heard} said '{gold}', outvoted by {against}: {first}, or add a voter that says '{gold}' here"
    return f"look at the gold of these again: reliable voters agree against it; {look}"


def _wrong(share: Share) -> str:
    return (
        f"{share.voter} (wrong here on {share.items:,}; of its {share.votes:,} votes on gold {share.wrong:,} are wrong)"
    )


def _heavy(share: Share) -> str:
    if not share.votes:
        return f"{share.voter} ({share.items:,})"
    return f"{share.voter} ({share.items:,}; wrong in {share.wrong:,} of {share.votes:,} votes on gold)"
