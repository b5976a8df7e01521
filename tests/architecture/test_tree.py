"""What holds for every file of the tree."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
_ADDRESS = re.compile(
    rb"pypi\.org|pythonhosted|registry\.npmjs|--(?:extra-)?index-url[ =]\S|--find-links[ =]\S|\"resolved\":"
)
_MACHINE_PATH = re.compile(rb"(?<![\w.~<>$}])/(?:home/[a-z]+/|Users/[A-Za-z]+/|root/|work/|opt/[a-z]+/)")
_SUBJECT = re.compile(r"(?:md|sig|alert|job|ord|ops|dlq|rpc|feed)\.[a-z>*]+(?:\.\S*)?")
_STREAMS = {"BARS", "SIGNALS", "ALERTS", "JOBS", "JOB_EVENTS", "DLQ"}
"""Without MARKET and ORDERS, which are words of the venues, too."""


def _files() -> list[Path]:
    """Files that are tracked or would be."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _sources() -> Iterator[Path]:
    for path in _files():
        if path.suffix == ".py" and "src" in path.parts:
            yield path


def test_the_namespace_belongs_to_no_distribution() -> None:
    """PEP 420: one ``tapestream/__init__.py`` would hide all the other distributions."""
    assert not [path for path in ROOT.glob("*/*/src/tapestream/__init__.py") if ".venv" not in path.parts]


def test_no_file_names_a_registry() -> None:
    assert not [path for path in _files() if path != Path(__file__) and _ADDRESS.search(path.read_bytes())]


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in _files()
        if path != Path(__file__) and (match := _MACHINE_PATH.search(path.read_bytes()))
    }
    assert not found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_carry_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "file:" not in text
    assert "tapestream-" not in re.sub(r"#.*", "", text), "own packages are not locked"
    for requirement in re.split(r"\n(?=\S)", text):
        if re.match(r"[a-z0-9]", requirement):
            assert "--hash=sha256:" in requirement, requirement.splitlines()[0]


def test_the_dev_lock_holds_all_of_the_other() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9][^ ;]*==[^ ;]*)", (ROOT / lock).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_files_stay_short() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in _files()
        if path.suffix == ".py" and (count := len(path.read_bytes().splitlines())) > LONGEST_FILE
    }
    assert not long


def test_subjects_and_streams_are_named_in_contracts_only() -> None:
    found: list[str] = []
    for path in _sources():
        if "contracts" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        texts = _docstrings(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in texts:
                continue
            if _SUBJECT.fullmatch(node.value) or node.value in _STREAMS:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}")
    assert not found


def _docstrings(tree: ast.AST) -> set[int]:
    """Strings that stand alone: documentation of a module, class, function or attribute."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
