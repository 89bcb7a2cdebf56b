"""Writes the site of a project: collects, renders, and puts the whole in place of the one before at once."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from teachkit.build.execute import looking_at
from teachkit.errors import BadOption, StoreUnwritable
from teachkit.site.dag import dag_values
from teachkit.site.examples import examples
from teachkit.site.history import lock_history
from teachkit.site.label_set_page import label_set_values
from teachkit.site.label_sets import read_labels, readable
from teachkit.site.measure import measure
from teachkit.site.nodes import is_voter, node_values, voter_values
from teachkit.site.overview import all_tests, overview_values
from teachkit.site.render import ExtraPage, Renderer, script_data
from teachkit.site.rows import keys_of, shuffled, snippets
from teachkit.site.tasks import task_values
from teachkit.site.view import KINDS, TESTS, look
from teachkit.store import read_lock
from teachkit.store.atomic import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.build import Workspace
    from teachkit.graph import Graph, Node
    from teachkit.site.measure import Measured
    from teachkit.site.view import View

FOLDER = "docs"
ITEMS = 200
_MARK = "teachkit-docs.json"
_STATIC = Path(__file__).parent / "static"


def generate(work: Workspace, *, items: int = ITEMS, extra_pages: Sequence[ExtraPage] = ()) -> Path:
    """Write the project's site to ``docs/`` in its target folder; nothing is built, nothing measured on the test split.

    Args:
        work: The compiled project.
        items: How many items of each label set get a page.
        extra_pages: Pages of other parts of teachkit, shown in the navigation beside its own.

    Returns:
        The folder. A site that cannot be finished leaves the one before as it was.

    Raises:
        BadOption: the folder holds files that no site of teachkit's is.
        BadLock: ``teachkit.lock`` cannot be read.
        StoreDamaged: an object of the store is not whole.
        StoreUnwritable: the site cannot be written.
    """
    with _replacing(work.files.target_path) as folder:
        site = Site(Renderer(work.files.config.name, extra_pages), folder)
        with looking_at(work) as run:
            _write(site, look(run), items)
        for page in extra_pages:
            site.write(page.filename, "extra.html", title=page.title, html=Markup(page.html))  # noqa: S704 - made by teachkit
        site.finish()
    return work.files.target_path / FOLDER


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into ``StoreUnwritable``."""
    try:
        yield
    except OSError as error:
        problem, advice = error.strerror or str(error), "make room, or check who owns the target folder"
        raise StoreUnwritable(None, path=error.filename or path, problem=problem, advice=advice) from error


@dataclass(slots=True)
class Site:
    """Pages written so far, and what the search finds."""

    renderer: Renderer
    folder: Path
    found: list[list[str]] = field(default_factory=list)

    def write(self, href: str, template: str, **values: Any) -> None:
        """Render a page into its file."""
        text = self.renderer.page(template, href, **values)
        path = self.folder / href
        with _on_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def index(self, title: str, kind: str, href: str, text: str = "") -> None:
        """Let the search find a page."""
        self.found.append([title, kind, href, " ".join(text.split())[:80]])

    def finish(self) -> None:
        """Write what pages share."""
        entries = json.dumps(self.found, ensure_ascii=True, separators=(",", ":"))
        static = self.folder / "static"
        with _on_disk(static):
            shutil.copytree(_STATIC, static)
            (static / "search-index.js").write_text(f"window.teachkitIndex={entries};\n", encoding="ascii")
            (self.folder / _MARK).write_text('{"schema_version": 1}\n', encoding="ascii")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder beside the site that takes its place at the end; what a killed run left is removed first."""
    place, new, old = target / FOLDER, target / f"{FOLDER}.new", target / f"{FOLDER}.old"
    if place.exists() and not (place / _MARK).is_file() and (not place.is_dir() or any(place.iterdir())):
        problem = f"'{target.name}/{FOLDER}' holds something that is no site of teachkit's"
        advice = "move it away, or name a folder of its own in teachkit.yml: 'paths: {target: target}'"
        raise BadOption(None, option="paths.target", problem=problem, advice=advice)
    with locked(target / f"{FOLDER}.lock"):
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        with _on_disk(new):
            new.mkdir(parents=True)
        try:
            yield new
            with _on_disk(place):
                if place.exists():
                    place.rename(old)
                new.rename(place)
        finally:
            for left in (new, old):
                shutil.rmtree(left, ignore_errors=True)


def _write(site: Site, view: View, items: int) -> None:
    """All pages of a project."""
    files, graph = view.run.files, view.graph
    lock = read_lock(files.lock_path)
    known = lock.label_sets if lock else {}
    history = lock_history(files.root, files.lock_path)
    more: dict[str, dict[str, Any]] = {}
    tasks = []
    for task in graph.tasks.values():
        measured = measure(view, task)
        values = task_values(view, task, measured, history, known)
        tasks.append(values)
        site.write(values["href"], "task.html", task=values)
        site.index(task.name, "task", values["href"], task.description)
        if measured is not None:
            more |= _task(site, view, measured, known, items)
    for node in graph:
        if node.kind not in TESTS:
            values = node_values(view, node)
            template = template_of(graph, node)
            site.write(values["href"], template, node=values, more=more.get(node.id))
            site.index(node.name, KINDS[node.kind], values["href"], node.description)
    overview = overview_values(view, tasks)
    tests = all_tests(view)
    for test in tests:
        site.index(test["id"], "test", test["href"], test["message"])
    site.write("index.html", "index.html", **overview)
    site.write("dag.html", "dag.html", data=script_data(dag_values(view)), tasks=tasks)
    site.write("tests.html", "tests.html", tests=tests, last=overview["last"])


def template_of(graph: Graph, node: Node) -> str:
    """The template of a node's page."""
    if node.kind != "label_set":
        return "node.html"
    return "label_set.html" if graph.tasks[node.task or ""].coded else "value_label_set.html"


def _task(
    site: Site, view: View, measured: Measured, known: Mapping[str, Any], items: int
) -> dict[str, dict[str, Any]]:
    """Pages of a task's items; what the pages of its voters and label sets show beside, by node."""
    task = measured.task
    keys = keys_of(view, task)
    ranks = shuffled(keys)
    more: dict[str, dict[str, Any]] = {}
    pages: dict[str, str] = {}
    for node in view.graph.of("label_set"):
        if node.task == task.name and readable(view, node):
            made = label_set_values(view, measured, read_labels(view, measured, node, keys), ranks, known, items)
            more[node.id] = made.values
            pages = {item["key"]: node.name for item in made.items} | pages
            for item in made.items:
                site.write(item["href"], "item.html", item=item, task=view.task_reference(task.name))
                site.index(item["key"], f"item of {node.name}", item["href"], item["text"])
    found = examples(view, measured, ranks)
    rows = [row for sides in found.values() for side in sides.values() for row, _, _ in side]
    texts = {row: (keys[row], text) for row, text in snippets(view, task, rows).items()}
    for node in view.graph:
        if node.task == task.name and is_voter(node) and node.id in view.run.outputs:
            more[node.id] = voter_values(view, measured, node, found.get(node.id, {}), texts, pages)
    return more
