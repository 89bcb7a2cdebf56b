"""Provenance as PROV-JSON: it loads, says nothing of what it does not hold, and tells where labels come from."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prov.model import ProvDocument

from teachkit.lineage.forms.prov_document import Document, qualified
from tests.lineage.test_explain import FILES, git
from tests.lineage.test_openlineage import ODD
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

Provenance = dict[str, Any]

# The sections of PROV-JSON that we write, with what each relation must name and the section that it must be in.
THINGS = ("entity", "activity", "agent")
RELATIONS = {
    "wasDerivedFrom": {"prov:generatedEntity": "entity", "prov:usedEntity": "entity"},
    "wasGeneratedBy": {"prov:entity": "entity", "prov:activity": "activity"},
    "used": {"prov:activity": "activity", "prov:entity": "entity"},
    "wasAssociatedWith": {"prov:activity": "activity", "prov:agent": "agent", "prov:plan": "entity"},
    "wasAttributedTo": {"prov:entity": "entity", "prov:agent": "agent"},
    "wasInfluencedBy": {"prov:influencee": "entity", "prov:influencer": "entity"},
    "hadMember": {"prov:collection": "entity", "prov:entity": "entity"},
}


def check(document: Provenance) -> None:
    """Fail unless the document has the form of PROV-JSON, names only what it holds, and survives a round trip."""
    assert set(document) <= {"prefix", *THINGS, *RELATIONS}
    for section in THINGS:
        for name, about in document.get(section, {}).items():
            assert re.fullmatch(r"tk:[\w./%-]*[\w/%-]", name, re.ASCII), name
            for value in about.values():
                assert isinstance(value, str | int | float | bool | dict | list), (name, value)
    for kind, ends in RELATIONS.items():
        for about in document.get(kind, {}).values():
            assert set(about) == set(ends)
            for key, name in about.items():
                assert name in document[ends[key]], f"{kind} names {name}, which is no {ends[key]}"
    text = json.dumps(document)
    loaded = ProvDocument.deserialize(content=text, format="json")  # warns of what it would drop: an error here
    again = str(loaded.serialize(format="json"))
    assert ProvDocument.deserialize(content=again, format="json") == loaded
    for section, found in json.loads(again).items():
        if section != "prefix":
            assert len(found) == len(document[section])
    assert loaded.get_provn()


def prov(project: Sandbox, *arguments: str) -> Provenance:
    found: Provenance = project("lineage", *arguments, "--format", "prov").json
    check(found)
    return found


def named(document: Provenance, label: str, section: str = "entity") -> str:
    [found] = [n for n, about in document[section].items() if about.get("prov:label") == label and _is_no_plan(about)]
    return str(found)


def _is_no_plan(about: dict[str, Any]) -> bool:
    return "prov:Plan" not in json.dumps(about["prov:type"])


def origins(document: Provenance, name: str) -> set[str]:
    """The names of all that something is derived from, directly or not."""
    pairs = [(d["prov:generatedEntity"], d["prov:usedEntity"]) for d in document["wasDerivedFrom"].values()]
    found, queue = set[str](), [name]
    while queue:
        here = queue.pop()
        new = {used for made, used in pairs if made == here} - found
        found |= new
        queue += new
    return found


def labels(document: Provenance, names: set[str]) -> set[str]:
    return {str(document["entity"][n].get("prov:label")) for n in names if _is_no_plan(document["entity"][n])}


def people(document: Provenance) -> dict[str, set[str]]:
    """From the label of an entity to the labels of who answers for it."""
    found: dict[str, set[str]] = {}
    for about in document["wasAttributedTo"].values():
        entity, agent = (document["entity"][about["prov:entity"]], document["agent"][about["prov:agent"]])
        found.setdefault(entity["prov:label"], set()).add(agent["prov:label"])
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A project in git with people, a guideline and a multichoice task."""
    tasks = FILES["tasks/mood.yml"].replace("name: mood,", "name: mood, guideline: mood.md,")
    files = {**FILES, "tasks/mood.yml": tasks, "tasks/mood.md": "Say how they feel.\n"}
    made = Sandbox(tmp_path_factory.mktemp("prov") / "shop", files)
    made.write({".gitignore": ".teachkit/\ntarget/\n"})
    git(made.root, "init")
    git(made.root, "add", ".")
    git(made.root, "commit", "-m", "first")
    made("build")
    return made


@pytest.fixture(scope="module")
def whole(built: Sandbox) -> Provenance:
    return prov(built, "moods")


def test_a_label_set_comes_from_votes_data_and_files(whole: Provenance, built: Sandbox) -> None:
    found = labels(whole, origins(whole, named(whole, "label_set.moods")))
    assert found >= {
        "lf.mood.praise",
        "lf.mood.blame",
        "lf.mood.stars",
        "annotations.mood.ann",
        "annotations.mood.eva",
        "transform.reviews",
        "source.shop.reviews",
        "data/a.csv",
        "data/b.csv",
        "parameters of label_set.moods",
    }
    assert not any("about" in label for label in found)
    file = whole["entity"][named(whole, "data/a.csv")]
    assert file["tk:sha256"] == hashlib.sha256((built.root / "data/a.csv").read_bytes()).hexdigest()
    assert whole["entity"][named(whole, "label_set.moods")]["tk:digest"] == built.published()["label_set.moods"]


def test_the_run_made_it_by_plans_at_a_commit(whole: Provenance, built: Sandbox) -> None:
    results = built.json_file("target/run_results.json")
    [(activity, about)] = whole["activity"].items()
    assert activity == f"tk:run/{results['run_id']}"
    assert about["prov:startTime"] <= about["prov:endTime"]
    made = {g["prov:entity"] for g in whole["wasGeneratedBy"].values()}
    assert {named(whole, "label_set.moods"), named(whole, "lf.mood.stars")} <= made
    plans = {whole["entity"][a["prov:plan"]]["prov:label"] for a in whole["wasAssociatedWith"].values()}
    assert {"label_set.moods", "lf.mood.stars", "transform.reviews"} <= plans
    used = {u["prov:entity"] for u in whole["used"].values()}
    assert {f"tk:commit/{git(built.root, 'rev-parse', 'HEAD')}"} < used
    assert any(name.startswith("tk:guideline/mood/") for name in used)
    [software] = [n for n in whole["agent"] if n.startswith("tk:software/teachkit/")]
    assert {a["prov:agent"] for a in whole["wasAssociatedWith"].values()} == {software}


def test_people_answer_for_their_judgments(whole: Provenance) -> None:
    assert people(whole) == {"annotations.mood.ann": {"ann"}, "annotations.mood.eva": {"eva"}}
    eva = whole["agent"]["tk:person/eva"]
    assert eva["prov:type"] == {"$": "prov:Person", "type": "prov:QUALIFIED_NAME"}
    assert len(whole["wasInfluencedBy"]) == 2  # both had the guideline


def test_the_lock_is_derived_from_the_labels_that_it_names(whole: Provenance, built: Sandbox) -> None:
    lock = named(whole, "teachkit.lock")
    assert named(whole, "label_set.moods") in origins(whole, lock)
    with built.changed({"teachkit.lock": built.read("teachkit.lock").replace("digest: ", "digest: 0").encode()}):
        assert "teachkit.lock" not in labels(prov(built, "moods"), set(prov(built, "moods")["entity"]))
    with built.changed({"teachkit.lock": "{"}):
        assert "teachkit.lock" not in labels(prov(built, "moods"), set(prov(built, "moods")["entity"]))


def test_votes_that_were_reused_were_made_by_an_earlier_run(built: Sandbox, tmp_path: Path) -> None:
    project = built.copy(tmp_path / "copy")
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    project("build")
    found = prov(project, "moods")
    made_by = {g["prov:entity"]: g["prov:activity"][:13] for g in found["wasGeneratedBy"].values()}
    assert made_by[named(found, "lf.mood.praise")] == "tk:run/000001"
    assert made_by[named(found, "lf.mood.stars")] == "tk:run/000002"
    assert made_by[named(found, "label_set.moods")] == "tk:run/000002"
    second = next(about for name, about in found["activity"].items() if name.startswith("tk:run/000002"))
    assert second["tk:uncommittedChanges"] is True
    project.replace("labeling_functions/mood/stars.sql", "stars >= 5", "stars >= 4")
    project("build")
    found = prov(project, "moods")
    assert {g["prov:activity"][:13] for g in found["wasGeneratedBy"].values()} == {"tk:run/000001"}


def test_one_label_comes_from_its_votes_and_its_record(built: Sandbox) -> None:
    found = prov(built, "moods", "r004")
    why = built("lineage", "moods", "r004", "--format", "json").json
    label = named(found, "label of r004")
    about = found["entity"][label]
    assert (about["prov:value"], about["tk:decidedBy"], about["tk:confidence"]) == (
        why["label"],
        why["decided_by"],
        why["confidence"],
    )
    votes = {f"vote of {v['voter']}": (v["label"], v["contribution"], v["path"]) for v in why["votes"]}
    said = {
        a["prov:label"]: (a["prov:value"], a.get("tk:contribution"), a["tk:path"])
        for a in found["entity"].values()
        if a["prov:type"] == {"$": "tk:Vote", "type": "prov:QUALIFIED_NAME"}
    }
    assert said == votes
    assert set(votes) <= labels(found, origins(found, label))
    records = [a for n, a in found["entity"].items() if n.startswith("tk:record/") and n in origins(found, label)]
    assert [(r["tk:path"], r["tk:record"]) for r in records] == [("data/a.csv", 4)]
    [member] = found["hadMember"].values()
    assert member == {"prov:collection": named(found, "label_set.moods"), "prov:entity": label}
    assert people(found) == {"vote of ann": {"ann"}}
    assert "two\nlines" not in json.dumps(found)


def test_a_curator_answers_for_a_decision(built: Sandbox) -> None:
    found = prov(built, "moods", "r002")
    assert people(found)["vote of eva"] == {"eva"}
    vote = found["entity"][named(found, "vote of eva")]
    assert (vote["tk:at"], vote["prov:value"]) == ("2026-01-02T03:04:05Z", "mixed")


def test_several_labels_of_one_item(built: Sandbox) -> None:
    found = prov(built, "topics", "r101")
    label = found["entity"][named(found, "label of r101")]
    assert label["tk:value"] == built("lineage", "topics", "r101", "--format", "json").json["label"]
    assert labels(found, origins(found, named(found, "label of r101"))) >= {"vote of size", "data/b.csv"}


def test_an_item_without_votes(built: Sandbox) -> None:
    found = prov(built, "shares", "r005")
    assert "wasAttributedTo" not in found
    assert "prov:value" not in found["entity"][named(found, "label of r005")]


def test_a_label_set_whose_run_is_not_on_record(built: Sandbox, tmp_path: Path) -> None:
    project = built.copy(tmp_path / "copy")
    for path in (project.root / ".teachkit/runs").glob("*"):
        path.unlink()
    for found in (prov(project, "moods"), prov(project, "moods", "r004")):
        assert not {"activity", "wasGeneratedBy", "used"} & set(found)
    whole = prov(project, "moods")
    assert "lf.mood.stars" in labels(whole, origins(whole, named(whole, "label_set.moods")))


def test_models_are_software_that_answers_for_its_votes(tmp_path: Path) -> None:
    project = Sandbox(tmp_path / "local")
    project("init", ".", "--example", "local_model")
    project("build", "--select", "+by_prompts", "--exclude", "type:test")
    [model] = {m for agents in people(prov(project, "by_prompts")).values() for m in agents}
    found = prov(project, "by_prompts", project.rows("by_prompts")[0]["comment_id"])
    assert {m for agents in people(found).values() for m in agents} == {model}
    [agent] = [a for a in found["agent"].values() if a["prov:label"] == model]
    assert agent["prov:type"]["$"] == "prov:SoftwareAgent"
    assert all("tk:request" in a for n, a in found["entity"].items() if "/votes/prompt/" in n)


@pytest.mark.parametrize("rows", [0, 1])
def test_odd_names_and_few_rows(tmp_path: Path, rows: int) -> None:
    data = ["Schlüssel,texte\n", "Schlüssel,texte\nå 1,größe\n"][rows]
    judged = ["item,label,annotator\n", "item,label,annotator\nå 1,größe,Zoë / 50%~.\n"][rows]
    odd = Sandbox(tmp_path / "odd", {**ODD, "data/a.csv": data, "annotations/class/Zoë 日本.csv": judged})
    odd("build")
    found = prov(odd, "default")
    assert found["entity"][named(found, "label_set.default")]["tk:rows"] == rows
    if rows:
        item = prov(odd, "default", "å 1")
        assert people(item) == {"vote of Zoë / 50%~.": {"Zoë / 50%~."}}


@pytest.mark.parametrize("node", ["transform.reviews", "reviews", "lf.mood.stars", "annotations.mood.ann"])
def test_only_label_sets_have_labels(built: Sandbox, node: str) -> None:
    said = built("lineage", node, "--format", "prov", code=2)
    assert said.out == ""
    assert "'prov' tells where labels come from" in said.err
    assert "name a label set" in said.err


def test_an_unknown_item_and_labels_that_were_not_built(built: Sandbox, tmp_path: Path) -> None:
    assert "no item with review = 'r0'" in built("lineage", "moods", "r0", "--format", "prov", code=2).err
    fresh = Sandbox(tmp_path / "fresh", FILES)
    said = fresh("lineage", "moods", "--format", "prov", code=2)
    assert (said.out, "[not-built]" in said.err) == ("", True)


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_name_is_a_qualified_name_of_its_own(one: str, other: str) -> None:
    one, other = (t.encode(errors="replace").decode() for t in (one, other))
    document = Document()
    first, second = document.entity(f"a/{one}", kind=["tk:x"]), document.entity(f"a/{other}", kind=["tk:x"])
    document.derived(first, second)
    assert (first == second) == (one == other)
    assert first == qualified(f"a/{one}")
    check(document.as_dict())


def test_a_relation_said_twice_is_said_once() -> None:
    document = Document()
    one, other = document.entity("one", kind=["tk:x"], rows=None), document.entity("other", kind=["tk:x", "tk:y"])
    document.derived(one, other)
    document.derived(one, other)
    assert len(document.as_dict()["wasDerivedFrom"]) == 1
    assert "tk:rows" not in document.as_dict()["entity"][one]
