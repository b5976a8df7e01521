"""Faults as a pure function of frames and time."""

from __future__ import annotations

from tapestream.simulators.binance.faults import Fault, FaultKind, Faults, Outgoing, Scope
from tapestream.simulators.binance.streams import Stream, parse_stream
from tapestream.simulators.market import Market


def stream(name: str = "btcusdt@trade") -> Stream:
    found = parse_stream(Market.USDM, name)
    assert found is not None
    return found


def frames(count: int, name: str = "btcusdt@trade") -> list[Outgoing]:
    return [Outgoing(stream(name), b"%d" % number, number) for number in range(count)]


def ids(out: list[Outgoing]) -> list[int]:
    return [frame.trade_id for frame in out]


def pass_all(faults: Faults, sent: list[Outgoing], now: float = 0.0) -> list[int]:
    return [frame.trade_id for one in sent for frame in faults.admit(one, now)]


def test_skip_counts_down_on_its_symbol_only() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.SKIP, Scope(symbol="BTCUSDT"), left=2))
    assert pass_all(faults, frames(2, "ethusdt@trade")) == [0, 1]
    assert pass_all(faults, frames(2, "btcusdt@bookTicker")) == [0, 1]
    assert pass_all(faults, frames(4)) == [2, 3]
    faults.release(1.0)
    assert not faults.active


def test_skip_with_a_probability_is_seeded() -> None:
    def run() -> list[int]:
        faults = Faults(3)
        faults.add(Fault(FaultKind.SKIP, probability=0.5))
        return pass_all(faults, frames(100))

    assert run() == run()
    assert 20 < len(run()) < 80


def test_mute_ends_with_its_time() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.MUTE, until=5.0))
    assert faults.silenced(1.0)
    assert pass_all(faults, frames(3), 4.9) == []
    assert pass_all(faults, frames(3), 5.0) == [0, 1, 2]


def test_stall_holds_and_lets_go_in_order() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.STALL, Scope(stream="trade"), until=5.0))
    assert pass_all(faults, frames(3), 1.0) == []
    assert ids(faults.release(4.9)) == []
    assert ids(faults.release(5.0)) == [0, 1, 2]
    assert not faults.active


def test_delay_keeps_the_order() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.DELAY, delay_s=0.5))
    for number, frame in enumerate(frames(3)):
        assert faults.admit(frame, number * 0.1) == []
    assert ids(faults.release(0.55)) == [0]
    assert ids(faults.release(1.0)) == [1, 2]
    assert faults.active


def test_duplicate_and_reorder() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.DUPLICATE, left=1))
    assert pass_all(faults, frames(2)) == [0, 0, 1]
    faults.reset()
    faults.add(Fault(FaultKind.REORDER, left=5))
    out = pass_all(faults, frames(8))
    assert sorted(out[:5]) == [0, 1, 2, 3, 4]
    assert out[:5] != [0, 1, 2, 3, 4]
    assert out[5:] == [5, 6, 7]


def test_a_held_frame_meets_the_faults_that_follow() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.STALL, until=3.0))
    faults.add(Fault(FaultKind.DELAY, delay_s=1.0))
    assert pass_all(faults, frames(1), 0.0) == []
    assert ids(faults.release(1.0)) == []
    assert ids(faults.release(3.0)) == [0]


def test_reset_gives_back_what_was_held() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.STALL, until=100.0))
    pass_all(faults, frames(3))
    assert ids(faults.reset()) == [0, 1, 2]
    assert not faults.active
