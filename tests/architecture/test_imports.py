"""The import contracts of ``pyproject.toml`` hold, and cover every package."""

from __future__ import annotations

import tomllib
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]


def test_contracts_are_kept() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_every_package_is_under_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {f"tapestream.{path.name}" for path in ROOT.glob("*/*/src/tapestream/*") if path.is_dir()}
    assert packages == set(settings["root_packages"])
    independent = next(each for each in settings["contracts"] if each["type"] == "independence")
    services = {
        f"tapestream.{path.name}" for path in ROOT.glob("services/*/src/tapestream/*") if path.is_dir()
    }
    assert services <= set(independent["modules"])
