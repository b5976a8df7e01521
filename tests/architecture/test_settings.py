"""``.env.example`` and the settings classes say the same."""

from __future__ import annotations

from pathlib import Path

from . import env_example

ROOT = Path(__file__).resolve().parents[2]


def test_example_lists_every_setting() -> None:
    assert (ROOT / ".env.example").read_text() == env_example.render(), "run make env-example"


def test_every_setting_says_what_it_is() -> None:
    silent = {
        env_example.variable(name, field)
        for each in env_example.settings_classes()
        for name, field in each.model_fields.items()
        if not field.description and not env_example._choices(field.annotation)
    }
    assert not silent


def test_a_variable_means_the_same_everywhere() -> None:
    """Two classes may read one variable; its default must then be one."""
    defaults: dict[str, set[str]] = {}
    for each in env_example.settings_classes():
        for name, field in each.model_fields.items():
            defaults.setdefault(env_example.variable(name, field), set()).add(env_example._default(field))
    assert not {key: values for key, values in defaults.items() if len(values) > 1}
