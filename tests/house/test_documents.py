"""Documents point at what exists, and no file knows the machine it was written on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup

from tests.house.sources import ROOT, iterate_documents, load_sources

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|Users|root|work|opt|private)/[\w.-]+")
SHELL_BLOCK = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("document", list(iterate_documents()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_in_documents_resolve(document: Path) -> None:
    broken = []
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists():
            broken.append(target)
        elif anchor and file.suffix == ".md":
            anchors = {_anchor(heading) for heading in HEADING.findall(file.read_text(encoding="utf-8"))}
            if anchor not in anchors:
                broken.append(target)
    assert broken == []


def test_no_file_names_a_path_of_a_machine() -> None:
    texts = {source.path: source.text for source in load_sources()}
    texts |= {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in iterate_documents()}
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/run"):
        texts[name] = (ROOT / name).read_text(encoding="utf-8")
    assert {path: found for path, text in texts.items() if (found := MACHINE_PATH.findall(text))} == {}


def test_every_command_in_the_documents_exists() -> None:
    from typer.main import get_command

    from flockchain.cli.app import app

    unknown = []
    for document in iterate_documents():
        for block in SHELL_BLOCK.findall(document.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                while words and "=" in words[0]:
                    words = words[1:]
                if words and Path(words[0]).name == "flockchain" and not _names_a_verb(get_command(app), words[1:]):
                    unknown.append((document.name, line))
    assert unknown == []


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        word
        for document in iterate_documents()
        for word in re.findall(r"`make ([a-z]+)", document.read_text(encoding="utf-8"))
    }
    assert named - targets == set()


def _names_a_verb(command: object, words: list[str]) -> bool:
    """Whether `words` lead to a verb, all of whose options exist."""
    if isinstance(command, TyperGroup):
        command.list_commands(None)  # type: ignore[arg-type]  # a group may load its verbs only now
        commands = command.commands
        if not words or words[0].startswith("-"):
            return True
        return words[0] in commands and _names_a_verb(commands[words[0]], words[1:])
    if getattr(command, "ignore_unknown_options", False):
        return True
    known = {option for parameter in command.params for option in parameter.opts}  # type: ignore[attr-defined]
    return all(word.partition("=")[0] in known | {"--help"} for word in words if word.startswith("--"))


def test_files_named_in_code_style_exist() -> None:
    """`flockchain/x/y.py` and the like: every path that a document names, but for placeholders in angle brackets."""
    path = re.compile(r"`((?:flockchain|ml|tests|tools|docs|proto|genesis)/[\w./-]+)`")
    missing = [
        (document.name, named)
        for document in iterate_documents()
        for named in path.findall(document.read_text(encoding="utf-8"))
        if not (ROOT / named).exists()
    ]
    assert missing == []
