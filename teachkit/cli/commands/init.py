"""``teachkit init``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.errors import BadOption, FolderNotEmpty, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.cli.settings import Settings

_LEFT_OUT = frozenset({".teachkit", "target", "output", "__pycache__", "teachkit.lock"})
_FROM_TEMPLATE = {"local_model": ("data", "labeling_functions", "macros")}  # what an example shares with the template


@as_command
@click.argument("folder", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option(
    "--example", metavar="NAME", help="An example instead of the template: local_model, trec_questions, youtube_spam."
)
def command(settings: Settings, folder: Path, example: str | None) -> int:
    """Start a project in DIR (default: here): the template project, which builds as it stands, or an example."""
    from teachkit.project.schemas import write_schemas

    files = dict(_files(_origin(example)))
    if shared := _FROM_TEMPLATE.get(example or ""):
        files |= {path: file for path, file in _files(_origin(None)) if path.parts[0] in shared}
    for path in files:
        if (folder / path).exists():
            raise FolderNotEmpty(None, folder=folder, file=path)
    for path, file in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / path)
    write_schemas(folder)
    if not settings.quiet:
        place = f"cd {folder} && " if folder != Path() else ""
        run = f"{place}teachkit build"
        if example is not None and not shared:
            run += " --vars '{data: /path/to/data}'   (README.md says where the data is to be had)"
        click.echo(f"started a project of {len(files)} files in {folder.resolve().name}/\nnext: {run}")
    return 0


def _origin(example: str | None) -> Path:
    """The folder to copy: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[2]
    places = [package, package.parent]
    if example is None:
        return next(p / "template_project" for p in places if (p / "template_project" / "teachkit.yml").is_file())
    examples = {f.parent.name: f.parent for p in reversed(places) for f in sorted(p.glob("examples/*/teachkit.yml"))}
    if example not in examples:
        advice = f"write one of: {listing(sorted(examples))}.{did_you_mean(example, examples)}"
        raise BadOption(None, option="--example", problem=f"there is no example '{example}'", advice=advice)
    return examples[example]


def _files(origin: Path) -> Iterator[tuple[Path, Path]]:
    """Each file's place in the project, and the file itself."""
    for file in sorted(origin.rglob("*")):
        path = file.relative_to(origin)
        if file.is_file() and _LEFT_OUT.isdisjoint(path.parts):
            yield path, file
