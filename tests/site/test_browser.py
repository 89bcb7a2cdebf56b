"""The site of the template project in a real browser: clicked through, served by ``docs serve``, without a network."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

BROWSER = os.environ.get("TEACHKIT_BROWSER") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no browser: set TEACHKIT_BROWSER, or put chromium on PATH"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of what drives the browser
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    folder = tmp_path_factory.mktemp("site")
    Sandbox(folder)("init", "demo")
    made = Sandbox(folder / "demo")
    made("build")
    return made


@pytest.fixture(scope="module")
def url(project: Sandbox) -> Iterator[str]:
    """Where ``docs serve`` shows the project."""
    process = project.start("docs", "serve", "--port", "0", "--no-browser", "--items", "60")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, process.communicate()
    yield line.split()[-1]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    driver = pytest.importorskip("playwright.sync_api", reason="no playwright: install the extra 'dev'")
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield opened
        opened.close()


class Watched:
    """A page of the browser; what it asks for and complains of is kept."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def check(self, home: str) -> None:
        assert self.complaints == []
        hosts = {urlsplit(one).netloc for one in self.requests}
        assert hosts <= {urlsplit(home).netloc}, hosts


@pytest.fixture
def watched(browser: Browser, url: str) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    found = Watched(page)
    yield found
    found.check(url)
    page.close()


def test_from_the_overview_to_an_item(watched: Watched, url: str) -> None:
    page = watched.page
    page.goto(url)
    assert page.title() == "Overview · comment_spam"
    page.click("main article h3 a")
    assert page.locator("h1").inner_text().startswith("spam")
    assert page.locator("svg.chart circle.dot").count() == 2  # tune and test, as the lock has them
    page.click("table >> text=plain_words")
    assert "277 of 418 items" in page.inner_text("main")
    assert page.locator(".example").count() >= 5
    page.click("text=Compiled SQL") if page.locator("text=Compiled SQL").count() else None
    page.click("#figures ~ p a >> text=spam_labels")
    page.wait_for_selector("table.matrix")
    assert page.locator("table.matrix td.right").count() == 2
    page.fill("[data-filter=sampled]", "channel")
    shown = page.locator("#sampled tbody tr:visible")
    assert 0 < shown.count() < 60
    assert all("channel" in text.lower() for text in shown.all_inner_texts())
    key = shown.first.locator("a").inner_text()
    shown.first.locator("a").click()
    assert page.locator("h1").inner_text() == key
    assert page.locator("svg.moved").count() > 3
    page.click("text=next item")
    assert page.locator("h1").inner_text() != key


def test_a_table_sorts_by_its_heading(watched: Watched, url: str) -> None:
    page = watched.page
    page.goto(f"{url}tasks/spam.html")
    cells = page.locator("table.sortable tbody td:nth-child(4)")
    page.click("table.sortable th button >> text=votes >> nth=1")
    most_first = [int(text) for text in cells.all_inner_texts()]
    assert most_first == sorted(most_first, reverse=True)
    page.click("table.sortable th button >> text=votes >> nth=1")
    assert [int(text) for text in cells.all_inner_texts()] == sorted(most_first)


def test_the_search_finds_nodes_labels_and_items(watched: Watched, url: str) -> None:
    page = watched.page
    page.goto(f"{url}nodes/lf.spam.link.html")
    page.keyboard.press("/")
    page.keyboard.type("spam_lab")
    page.wait_for_selector("#found [role=option]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/nodes/label_set.spam_labels.html")
    key = page.locator("#sampled tbody a").first.inner_text()
    page.fill("#search", key)
    page.click("#found [role=option] a")
    assert page.locator("h1").inner_text() == key
    page.fill("#search", "no such thing at all")
    page.wait_for_selector("#found .quiet")
    assert page.inner_text("#found") == "nothing found"
    page.keyboard.press("Escape")
    assert page.locator("#found").is_hidden()


def test_the_graph_zooms_moves_finds_and_opens_nodes(watched: Watched, url: str) -> None:
    page = watched.page
    page.goto(f"{url}dag.html")
    assert page.locator("g.node").count() == 31
    before = float(page.get_attribute("#dag", "data-scale") or 0)
    page.click("#zoom-in")
    assert float(page.get_attribute("#dag", "data-scale") or 0) > before
    box = page.locator("#dag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, 600)
    page.wait_for_function(f"Number(document.getElementById('dag').dataset.scale) < {before * 1.2}")
    place = page.get_attribute("#dag svg > g", "transform")
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 90, steps=4)
    page.mouse.up()
    assert page.get_attribute("#dag svg > g", "transform") != place
    assert page.url.endswith("dag.html")  # dragging opens nothing
    page.click("#zoom-all")
    page.fill("#dag-search", "lf.spam.moment")
    assert page.locator("g.node.found").count() == 1
    assert page.inner_text("#dag-found") == "1 found"
    page.click("g.node.found")
    page.wait_for_url("**/nodes/lf.spam.moment.html")
    page.click("text=Show it in the graph")
    page.wait_for_selector("g.node.found >> text=moment")


def test_dark_is_chosen_and_stays(watched: Watched, url: str) -> None:
    page = watched.page
    page.goto(url)
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.click("#theme")
    dark = page.evaluate(colour)
    assert dark != light
    page.goto(f"{url}tests.html")
    assert page.evaluate(colour) == dark
    page.click("#theme")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) == light
    page.evaluate("localStorage.clear()")
    page.reload()
    assert page.evaluate(colour) == dark


def _each_kind(docs: Path) -> list[str]:
    """Every page but those of nodes and items; of these some of each kind."""
    found = [p.relative_to(docs).as_posix() for p in sorted(docs.rglob("*.html"))]
    items = [p for p in found if p.startswith("items/")]
    return [p for p in found if not p.startswith("items/")] + items[:10]


def test_nothing_is_wider_than_a_phone(browser: Browser, project: Sandbox, url: str) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 740})
    found = Watched(page)
    for name in _each_kind(project.root / "target/docs"):
        page.goto(url + name)
        wide, window = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        assert wide <= window, name
    found.check(url)
    page.close()


def test_it_works_from_files_too(browser: Browser, project: Sandbox, url: str) -> None:
    page = browser.new_page()
    found = Watched(page)
    docs = project.root / "target/docs"
    page.goto((docs / "nodes/lf.spam.link.html").as_uri())
    page.fill("#search", "moment")
    page.wait_for_selector("#found [role=option]")
    page.click("#found [role=option] a")
    assert page.locator("h1").inner_text().startswith("moment")
    page.goto((docs / "dag.html").as_uri())
    assert page.locator("g.node").count() == 31
    assert found.complaints == []
    assert all(one.startswith("file://") for one in found.requests)
    page.close()


def test_seven_labels_in_any_script_are_all_to_be_seen(browser: Browser, tmp_path: Path) -> None:
    labels = ["日本語ニュース", "économie", "sport & loisirs", "none", "null", "الرياضة", "it's"]
    rows = "".join(f"{n},w{n % 7},{labels[n % 7]},{'tune' if n % 2 else 'train'}\n" for n in range(70))
    rules = "".join(f"  - {{name: r{n}, label: {json.dumps(one)}, any_of: [w{n}]}}\n" for n, one in enumerate(labels))
    project = Sandbox(
        tmp_path / "labels",
        {
            "teachkit.yml": "name: labels\n",
            "data/t.csv": "id,text,gold,split\n" + rows,
            "sources/t.yml": "sources:\n  - {name: raw, tables: [{name: t, path: data/t.csv, key: id}]}\n",
            "tasks/t.yml": f"tasks:\n  - {{name: t, labels: {json.dumps(labels)}, dataset: \"source('raw', 't')\", "
            "key: id, gold: {column: gold}, splits: {column: split}}\n",
            "labeling_functions/t/r.yml": "labeling_functions:\n" + rules,
            "label_models/m.yml": "label_models:\n  - {name: m, task: t, type: majority}\n",
        },
    )
    project("build")
    project("docs", "generate")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((project.root / "target/docs/nodes/label_set.m.html").as_uri())
    for wide, window in page.locator(".scroll:has(.matrix)").evaluate_all(
        "all => all.map(e => [e.scrollWidth, e.clientWidth])"
    ):
        assert wide <= window
    heights = page.locator(".matrix thead th").evaluate_all("all => all.map(e => e.offsetHeight)")
    assert len(set(heights)) == 1
    assert heights[0] < 60
    widths = page.locator(".figures svg").evaluate_all("all => all.map(e => e.clientWidth)")
    assert len(widths) == 7
    assert len(set(widths)) == 1
    page.goto((project.root / "target/docs/tasks/t.html").as_uri())
    arabic = page.locator(".facts > span", has_text="الرياضة")
    label, count = arabic.locator(".label").bounding_box(), arabic.locator("b").bounding_box()
    assert label is not None
    assert count is not None
    assert label["x"] < count["x"]
    page.close()


def test_many_voters_are_one_box_until_it_is_opened(browser: Browser, tmp_path: Path) -> None:
    rules = "".join(f"  - {{name: r{i}, label: {'ab'[i % 2]}, any_of: [w{i}]}}\n" for i in range(70))
    project = Sandbox(
        tmp_path / "many",
        {
            "teachkit.yml": "name: many\n",
            "data/t.csv": "id,text\n1,w1 w2\n2,w3\n",
            "sources/t.yml": "sources:\n  - {name: raw, tables: [{name: t, path: data/t.csv, key: id}]}\n",
            "transforms/t.sql": "select id, text from {{ source('raw', 't') }}\n",
            "tasks/k.yml": "tasks:\n  - {name: k, labels: [a, b], dataset: ref('t'), key: id}\n",
            "labeling_functions/k/r.yml": "labeling_functions:\n" + rules,
            "label_models/k.yml": "label_models:\n  - {name: ks, task: k, type: majority}\n",
        },
    )
    project("docs", "generate")
    page = browser.new_page()
    found = Watched(page)
    page.goto((project.root / "target/docs/dag.html").as_uri())
    assert page.locator("g.node").count() == 4
    page.click("g.node.folded")
    assert page.locator("g.node").count() == 74
    page.locator("g.node.closer").dispatch_event("click")
    assert page.locator("g.node").count() == 4
    page.fill("#dag-search", "lf.k.r33")
    assert page.locator("g.node.found").count() == 1
    page.click("g.node.found")
    page.wait_for_url("**/nodes/lf.k.r33.html")
    assert found.complaints == []
    page.close()
