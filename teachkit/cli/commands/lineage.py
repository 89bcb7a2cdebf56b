"""``teachkit lineage``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import cell, plain, print_table
from teachkit.cli.running import selection_options
from teachkit.errors import BadOption, StoreUnwritable, counted, did_you_mean, listing
from teachkit.store import write_bytes_atomic

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings
    from teachkit.lineage import Explanation, VoteShare, WhatIf

_MEASURES = {
    "log_odds": ", in log-odds of the label",
    "share": ", in parts of the vote",
    "weight": ", by the weight of each in the label",
    "left_out": ", by how much the label's probability falls without each",
    "none": "",
}
_SINCE = {
    "store": "changed since the run, taken from the store as defined then",
    "changed": "changed since the run, lineage as the project has it now",
    "unproven": "without a record of the definition, taken from the project as it is now",
    "gone": "no longer in the project or the store, without lineage",
}
_NAMED = 5
_SHORT = 10
_SILENT_SHOWN = 5
_LONG = 2000  # characters of a value of the item's row


@as_command
@click.argument("node", required=False)
@click.argument("item", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "prov"]),
    default="text",
    help="Form of the result; prov: PROV-JSON of a label set, or of one label.",
)
@click.option("--graph", is_flag=True, help="A Mermaid flowchart of what NODE is made of, or of the whole project.")
@selection_options
@click.option("--what-if", "voter", metavar="VOTER", help="The label of ITEM if this voter had abstained.")
@click.option("--openlineage", is_flag=True, help="A run as OpenLineage events, one a line.")
@click.option("--run", "run_id", metavar="RUN_ID", help="The run of --openlineage; default: the newest that published.")
@click.option(
    "--output", "-o", metavar="FILE", help="File for what --graph, --openlineage or --format prov or json write."
)
def command(settings: Settings, **options: Any) -> int:
    """Show why ITEM of the label set NODE has its label; without ITEM, all that NODE is made of.

    ITEM is a key of the dataset. Contributions are log-odds of the likeliest label against the next one: with the prior
    they add up to the logarithm of the ratio of the two posteriors.
    """
    state = options.pop("state")
    _check(**options)
    project, node, item, form = settings.project(), options["node"], options["item"], options["form"]
    output = options["output"]
    if options["openlineage"]:
        events = project.openlineage(options["run_id"])
        _write("".join(json.dumps(plain(e), ensure_ascii=False) + "\n" for e in events), output)
        _say_what_changed(events)
    elif options["graph"]:
        diagram = project.mermaid(node, options["select"], options["exclude"], state=state)
        _write(diagram.text, output)
        if not diagram.nodes:
            click.echo("the selection holds no node", err=True)
        if diagram.folded:
            click.echo(f"drawn as one: {'; '.join(diagram.folded)}", err=True)
    elif form == "prov":
        _write_json(project.prov(node, item), output)
    elif item is None:
        found = project.upstream(node)
        if form == "json":
            _write_json(found, output)
        else:
            _show_upstream(found, settings)
    else:
        explanation = project.lineage(node, item)
        without = None if options["voter"] is None else _without(explanation, options["voter"])
        if form == "json":
            said = {} if without is None else {"what_if": {"voter": options["voter"], **asdict(without)}}
            _write_json({**explanation.as_dict(), **said}, output)
        else:
            _show(explanation, settings)
            if without is not None:
                _show_without(explanation, options["voter"], without)
    return 0


def _check(
    *,
    node: str | None,
    item: str | None,
    form: str,
    graph: bool,
    openlineage: bool,
    run_id: str | None,
    voter: str | None,
    output: str | None,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:
    """Refuse options that do not go together, rather than leave one of them out."""
    whole = graph or openlineage
    wrong = [
        (not node and not whole, "NODE", "it is missing", "name a node, or ask for --graph or --openlineage"),
        (graph and openlineage, "--graph", "it does not go with --openlineage", "ask for one of the two"),
        (whole and form != "text", "--format", f"'{form}' does not go with --graph or --openlineage", "leave it out"),
        (graph and bool(item), "ITEM", "a graph is of nodes", "leave it out"),
        (openlineage and bool(node), "NODE", "--openlineage is about a run", "leave it out; --run RUN_ID names a run"),
        (
            voter is not None and (whole or not item or form == "prov"),
            "--what-if",
            "it is about the label of one item",
            "name NODE and ITEM, with --format text or json",
        ),
        (bool(run_id) and not openlineage, "--run", "it names the run of --openlineage", "add --openlineage"),
        (
            bool(select or exclude) and (not graph or bool(node)),
            "--select",
            "it chooses nodes of a graph of the project",
            "use it with --graph and without NODE",
        ),
        (
            output is not None and form == "text" and not whole,
            "--output",
            "text for people goes to the screen",
            "add --format json or prov, --graph or --openlineage",
        ),
    ]
    for is_wrong, option, problem, advice in wrong:
        if is_wrong:
            raise BadOption(None, option=option, problem=problem, advice=advice)


def _write_json(value: Any, output: str | None) -> None:
    _write(json.dumps(plain(value), ensure_ascii=False, indent=1) + "\n", output)


def _write(text: str, output: str | None) -> None:
    """Write to the screen, or a file: whole or not at all."""
    if output is None:
        click.echo(text, nl=False)
        return
    path = Path(output).resolve()
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")  # a pipe or device: nothing to put in its place
        else:
            write_bytes_atomic(path, text.encode())
    except (OSError, StoreUnwritable) as error:
        problem = error.strerror if isinstance(error, OSError) else error.facts["problem"]
        advice = "name a file in a folder that can be written"
        raise BadOption(
            None, option="--output", problem=f"cannot write '{output}': {problem}", advice=advice
        ) from error


def _say_what_changed(events: list[dict[str, Any]]) -> None:
    """Say which nodes are not as the run had them, and what stands in for them."""
    sources: dict[str, list[str]] = {}
    for event in events:
        about = event["run"]["facets"].get("teachkit_node")
        if about is not None and event["eventType"] == "START" and about["definitionFrom"] in _SINCE:
            sources.setdefault(about["definitionFrom"], []).append(event["job"]["name"])
    for source, names in sources.items():
        click.echo(f"{counted(len(names), 'node')} {_SINCE[source]}: {listing(names, _NAMED)}", err=True)


def _show_upstream(found: dict[str, Any], settings: Settings) -> None:
    rows = []
    for entry in found["upstream"]:
        line = f":{entry['line']}" if entry["line"] else ""
        state = "as published" if entry["published"] else "not published"
        rows.append(
            [entry["id"], f"{entry['path']}{line}", entry["definition"][:_SHORT], state, ", ".join(entry["inputs"])]
        )
    print_table(["node", "file", "version", "state", "made of"], rows, settings)


def _show(why: Explanation, settings: Settings) -> None:
    sure = f", confidence {why.confidence:.4f}" if why.confidence is not None else ""
    label = _label(why.label, why.posterior)
    click.echo(f"{why.label_set}  {why.item}:  {label}{sure}, decided by {_decided(why)}")
    if why.label != why.model_label:
        click.echo(f"the label model says: {_label(why.model_label, why.posterior)}")
    if not why.published:
        click.echo("these labels are not the published ones: the project has changed since, or the build failed")
    click.echo(f"posterior: {_posterior(why.posterior)}")
    if why.held_out:
        click.echo("the label model knows the item's gold: a fit that was not told it judges the item")
    click.echo()
    _show_votes(why, settings)
    click.echo(f"\ninput row ({why.task})")
    print_table(["  column", "value"], [[f"  {name}", cell(value, _LONG)] for name, value in why.row.items()], settings)
    click.echo("\nsource")
    for found in why.sources:
        record = f", record {found.record}" if found.record is not None else ""
        note = f" ({found.note})" if found.note else ""
        digest = f", content {found.digest[:_SHORT]}" if found.digest else ""
        click.echo(f"  {found.path}{record}{digest}, column {found.column} of {found.source}{note}")
    click.echo("\nmade by")
    model = why.label_model
    place = f"{model['path']}:{model['line']}"
    click.echo(f"  label model {model['type']}, {place}, version {model['definition'][:_SHORT]}, ", nl=False)
    click.echo(f"parameters {model['parameters'][:_SHORT]}")
    if why.run is None:
        click.echo("  the run that made it is not on record in this store")
        return
    run = why.run
    click.echo(f"  run {run['run_id']}, teachkit {run['command']} in target {run['target']}, {run['started']}")
    click.echo(f"  {_commit(run)}")
    click.echo("  " + ", ".join(f"{name} {version}" for name, version in run["versions"].items()))


def _label(label: Any, posterior: Any) -> str:
    if label is None:
        return "no label"
    if label == []:
        return "none of the labels" if isinstance(posterior, dict) else "no spans"
    return cell(label, _LONG)


def _posterior(found: Any) -> str:
    """Labels by their probability; of numbers mean, spread and interval; of other values those that were said.

    Of an order its candidates with their scores.
    """
    if isinstance(found, list) and found and "candidate" in found[0]:
        return ", ".join(f"{cell(one['candidate'])} {one['score']:+.2f}" for one in found)
    if isinstance(found, list) and found and "probability" in found[0]:
        return cell(found, _LONG)
    if isinstance(found, list):
        return ", ".join(f"{cell(one['label'])} {one['share']:.4f}" for one in found) or "nothing was said"
    if set(found) == {"mean", "sd", "low", "high"}:
        said = [f"{name} {found[name]:.6g}" for name in ("mean", "sd") if found[name] is not None]
        if found["low"] is not None:
            said.append(f"{found['low']:.6g} to {found['high']:.6g}")
        return ", ".join(said) or "not known"
    ranked = sorted(found.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {share:.4f}" for name, share in ranked)


def _without(why: Explanation, voter: str) -> WhatIf:
    """What would be if a voter had abstained; raises ``BadOption`` if it did, or if the label model cannot say."""
    found = {v.voter: v.what_if for v in why.votes if v.what_if is not None}
    if voter not in found:
        problem = f"'{voter}' has no vote on this item that the label model counts"
        advice = f"those that do: {listing(found)}.{did_you_mean(voter, found)}" if found else "nobody has"
        if not found and any(v.contribution is not None for v in why.votes):
            problem = "the label model of this kind of task does not say what would be without a vote"
            advice = "leave it out: 'moved' says how much of the answer each vote is"
        raise BadOption(None, option="--what-if", problem=problem, advice=advice)
    return found[voter]


def _show_without(why: Explanation, voter: str, found: WhatIf) -> None:
    label = "no label" if found.label is None else cell(found.label)
    sure = "" if found.confidence is None else f", confidence {found.confidence:.4f}"
    same = "another label" if found.changes else "the same label"
    click.echo(f"\nif {voter} had abstained, the label model would say: {label}{sure} ({same})")
    ranked = sorted(found.posterior.items(), key=lambda pair: -pair[1])
    click.echo("  posterior: " + ", ".join(f"{name} {share:.4f}" for name, share in ranked))
    if why.decided_by not in ("model", "none"):
        click.echo(f"  the label itself is decided by {_decided(why)}")


def _decided(why: Explanation) -> str:
    if why.decided_by == "none":
        return "nobody"
    return f"the {why.decided_by}" if why.decided_by != "gold" else "gold"


def _commit(run: dict[str, Any] | Any) -> str:
    if run["commit"] is None:
        return "in git, but nothing was committed yet" if run["git"] else "not in git"
    return f"git commit {run['commit'][:_SHORT]}" + (", with uncommitted changes" if run["dirty"] else "")


def _show_votes(why: Explanation, settings: Settings) -> None:
    if why.measure == "log_odds" and why.toward is not None:
        title = f", in log-odds of {why.toward} against {why.against}"
    else:
        title = _MEASURES[why.measure]
    click.echo(f"votes{title}")
    rows = []
    if why.prior is not None:
        rows.append(["  prior", "", "", f"{why.prior:+.3f}", "", "", ""])
    strongest = sorted(why.votes, key=lambda v: -abs(v.contribution or 0.0))
    rows += [_vote_row(vote) for vote in strongest]
    silent = sorted(why.silence.items(), key=lambda pair: -abs(pair[1]))
    rows += [[f"  {name}", "", "silent", f"{moved:+.3f}", "", "", ""] for name, moved in silent[:_SILENT_SHOWN]]
    if why.calibration is not None:
        rows.append(["  calibration", "", "", f"{why.calibration:+.3f}", "", "", ""])
    rest = silent[_SILENT_SHOWN:]
    if rest:
        rows.append([f"  {len(rest)} others", "", "silent", f"{sum(moved for _, moved in rest):+.3f}", "", "", ""])
    if why.total is not None:
        rows.append(["  sum", "", "", f"{why.total:+.3f}", "", "", ""])
    numeric = [False, False, False, True, False, False, False]
    print_table(["  voter", "kind", "vote", "moved", "file", "commit", "version"], rows, settings, numeric=numeric)
    if not why.votes:
        click.echo("  nobody voted")
    asked: set[tuple[str, str | None]] = set()
    for vote in strongest:
        if vote.model is not None and (vote.voter, vote.request) not in asked:
            asked.add((vote.voter, vote.request))  # of several labels at once there is a vote for each
            cost = f", {vote.cost:.6f} USD" if vote.cost else ""
            reason = f": {cell(vote.reason, _LONG)}" if vote.reason else ""
            sure = "" if vote.raw_score is None else f", score {vote.raw_score:.3f}"
            sure += "" if vote.probability is None else f", probability {vote.probability:.3f}"
            click.echo(f"  {vote.voter} is {vote.model}, request {(vote.request or '')[:_SHORT]}{sure}{cost}{reason}")


def _vote_row(vote: VoteShare) -> list[str]:
    said = cell(vote.label) if vote.polarity > 0 else f"not {vote.label}"
    moved = "" if vote.contribution is None else f"{vote.contribution:+.3f}"
    place = f"{vote.path}:{vote.line}" if vote.line else vote.path
    commit = vote.commit[:_SHORT] if vote.commit else "uncommitted"
    return [f"  {vote.voter}", vote.kind, said, moved, place, commit, vote.version[:_SHORT]]
