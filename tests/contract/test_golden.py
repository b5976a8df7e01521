"""Messages as they were on the wire when their version was released: they are read and written alike today."""

from __future__ import annotations

import inspect
from pathlib import Path

import msgspec
import pytest

from tapestream.common.contracts import alerts, messages, pair_queries, signals
from tapestream.common.contracts.messages import Message, decoder, encode

FOLDER = Path(__file__).parent / "golden"
GOLDEN = sorted(FOLDER.glob("*.json"))
TYPES: dict[str, type[Message]] = {
    name: found
    for module in (alerts, messages, pair_queries, signals)
    for name, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, Message) and found is not Message
}

each_golden = pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
each_type = pytest.mark.parametrize("message_type", TYPES.values(), ids=lambda one: one.__name__)


def _type_of(path: Path) -> type[Message]:
    return TYPES[path.name.split(".")[0]]


@each_golden
def test_a_released_form_is_read_and_written_as_it_was(path: Path) -> None:
    wire = path.read_bytes()

    message = decoder(_type_of(path)).decode(wire)

    assert type(message) is _type_of(path)
    assert encode(message) == wire


@each_golden
def test_a_field_of_a_later_release_is_ignored(path: Path) -> None:
    wire = path.read_bytes()
    later = msgspec.json.encode({**msgspec.json.decode(wire), "of_a_later_release": {"any": [1, None]}})

    assert encode(decoder(_type_of(path)).decode(later)) == wire


@pytest.mark.parametrize(
    ("stem", "field", "read_as"),
    [("Bar.v1", "source", messages.BarSource.PARTIAL), ("Gap.v1", "reason", messages.GapReason.LOST)],
)
def test_a_value_of_a_later_release_is_read_with_caution(stem: str, field: str, read_as: str) -> None:
    path = FOLDER / f"{stem}.json"
    later = {**msgspec.json.decode(path.read_bytes()), field: "of_a_later_release"}

    assert getattr(decoder(_type_of(path)).decode(msgspec.json.encode(later)), field) is read_as


@each_golden
def test_a_file_is_named_after_the_version_that_it_holds(path: Path) -> None:
    assert path.name.split(".")[1] == f"v{msgspec.json.decode(path.read_bytes())['v']}"


def test_every_message_has_a_golden_file() -> None:
    assert TYPES
    assert {path.name.split(".")[0] for path in GOLDEN} == TYPES.keys()


@each_type
@pytest.mark.parametrize(
    "wire", [b"", b"\xff\xfe", b"{", b"[]", b"null", b'"text"', b'{"v":"one"}', b'{"v":1}}']
)
def test_what_is_no_message_raises_a_decode_error(message_type: type[Message], wire: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoder(message_type).decode(wire)


@each_golden
def test_a_cut_message_raises_a_decode_error(path: Path) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoder(_type_of(path)).decode(path.read_bytes()[:-1])


@each_type
def test_a_required_field_is_required(message_type: type[Message]) -> None:
    if any(field.required for field in msgspec.structs.fields(message_type)):
        with pytest.raises(msgspec.DecodeError, match="missing required field"):
            decoder(message_type).decode(b"{}")
    else:
        assert decoder(message_type).decode(b"{}") == message_type()
