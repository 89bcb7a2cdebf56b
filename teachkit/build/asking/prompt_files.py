"""A prompt as a command names it, by its file or by its name; one that is switched off is switched on for it alone."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from teachkit.build.workspace import open_workspace
from teachkit.errors import BadOption
from teachkit.graph import find_node
from teachkit.graph.config import folder_defaults
from teachkit.graph.prompts import voter_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.build.run import BuildOptions
    from teachkit.build.workspace import Workspace
    from teachkit.graph import Node
    from teachkit.project import Definition, ProjectFiles


@contextmanager
def open_prompt(root: Path, options: BuildOptions, wanted: str) -> Iterator[tuple[Workspace, list[Node]]]:
    """The compiled project and the voters that ``wanted`` means: all of a file, or the one with this name.

    Raises:
        BadOption: it is a path, and no prompt with a voter lies there.
        UnknownNode: it is a name, and no prompt has it, or several do.
    """
    with open_workspace(root, options, change=lambda files: switched_on(files, _meant(files, wanted))) as work:
        file = _meant(work.files, wanted)
        if file is None or wanted in _forms(file, voter_names(file.name, file.config)):
            yield work, [find_node(work.graph, wanted, ("prompt",))]
            return
        nodes = [node for node in work.graph.of("prompt") if node.where.path == file.where.path]
        if not nodes:
            problem = f"'{file.where.path}' has no voter: its answers fill columns only"
            raise BadOption(None, option="PROMPT", problem=problem, advice="name a prompt that votes")
        yield work, nodes


def switched_on(files: ProjectFiles, prompt: Definition | None) -> ProjectFiles:
    """The project with one prompt switched on; others of a folder that is switched off stay so."""
    if prompt is None or _is_on(files, prompt):
        return files
    task = prompt.task or ""
    folder = folder_defaults(files.config.prompts, task)

    def changed(other: Definition) -> Definition:
        if other is prompt:
            return _switched(other, on=True)
        of_folder = other.kind == "prompt" and other.task == task
        return _switched(other, on=False) if of_folder and not folder.enabled else other

    prompts = {**files.config.prompts, task: folder.model_copy(update={"enabled": True})}
    config = files.config.model_copy(update={"prompts": prompts})
    return dataclasses.replace(files, config=config, definitions=tuple(map(changed, files.definitions)))


def _switched(prompt: Definition, *, on: bool) -> Definition:
    return dataclasses.replace(prompt, config=prompt.config.model_copy(update={"enabled": on}))


def _is_on(files: ProjectFiles, prompt: Definition) -> bool:
    return bool(prompt.config.enabled and folder_defaults(files.config.prompts, prompt.task or "").enabled)


def _meant(files: ProjectFiles, wanted: str) -> Definition | None:
    """The prompt whose file, or whose name or voter's name this is; None if none or several have the name.

    Of prompts with one name, one that is switched on comes before those that are not.
    """
    prompts = list(files.of("prompt"))
    if "/" in wanted or wanted.lower().endswith(".md"):
        return _at(files, prompts, wanted)
    named = [p for p in prompts if wanted in _forms(p, [p.name, *voter_names(p.name, p.config)])]
    found = [p for p in named if _is_on(files, p)] or named
    return found[0] if len(found) == 1 else None


def _forms(prompt: Definition, names: list[str]) -> set[str]:
    return {form for name in names for form in (name, f"{prompt.task}.{name}", f"prompt.{prompt.task}.{name}")}


def _at(files: ProjectFiles, prompts: list[Definition], wanted: str) -> Definition:
    path = next((p for p in (Path(wanted), files.root / wanted) if p.is_file()), None)
    if path is None:
        problem, advice = f"there is no file '{wanted}'", "name it from here or from the project's folder"
        raise BadOption(None, option="PROMPT", problem=problem, advice=advice)
    found = next((p for p in prompts if (files.root / p.where.path).samefile(path)), None)
    if found is None:
        folder = files.config.paths.prompts
        problem, advice = f"'{wanted}' is no prompt of this project", f"a prompt is a file {folder}/<task>/<name>.md"
        raise BadOption(None, option="PROMPT", problem=problem, advice=advice)
    return found
