"""Laws that hold for every tape."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from featureplane_reference import Engine, Instrument, Packet, feature_set_from_requests
from featureplane_reference.book import MAX_LEVELS, BookCapacityError
from featureplane_reference.families import FAMILIES
from featureplane_reference.frame import frame_len
from featureplane_reference.model import GAP_DETECTED, OUT_OF_ORDER_INPUT, SATURATED
from featureplane_reference.registry import SetError, features_from_canonical
from featureplane_reference.rows import RowWriter, parse_emission

T0 = 1_700_000_000_000_000_000
OFI = [{"family": "ofi_l1", "column": column} for column in ("ofi_l1_raw", "ofi_l1_cum")]
SET = [
    {"family": "top", "column": "best_bid"},
    {"family": "imbalance", "column": "l1_imbalance"},
    {"family": "microprice", "column": "micro_minus_mid"},
    *OFI,
    {"family": "ofi_l1", "column": "ofi_l1_sum", "params": {"window_ns": 1_000_000}},
    {"family": "depth", "column": "band_imbalance", "params": {"lo_bps": 0, "hi_bps": 300}},
    {"family": "ema", "column": "ema", "params": {"of": "l1_imbalance", "tau_ns": 1_000_000}},
    {"family": "time", "column": "book_age_ns"},
]


def make(requests=SET, feed="snapshot", sequencing="arrival", **more):
    instrument = Instrument(
        symbol_id=0,
        price_scale=0,
        qty_scale=0,
        tick_scaled=1,
        lot_scaled=1,
        feed=feed,
        sequencing=sequencing,
        **more,
    )
    return Engine(instrument, features_from_canonical(feature_set_from_requests(requests)))


def tape(seed, packets=300, mirror=False, scale=1):
    """Random books, one in ten of them one-sided or crossed; mirrored around 1000 on request."""
    rng = random.Random(seed)
    out = []
    for i in range(packets):
        sides = [
            [[1000 - rng.randint(0, 6) + j, rng.randint(1, 50) * scale] for j in range(rng.choice((0, 2, 2, 3, 3)))],
            [[1003 + rng.randint(0, 6) + j, rng.randint(1, 50) * scale] for j in range(rng.choice((0, 2, 2, 3, 3)))],
        ]
        if mirror:
            sides = [[[2000 - p, q] for p, q in side] for side in reversed(sides)]
        runs = [["set_bid", sides[0]], ["set_ask", sides[1]]]
        out.append(Packet("snapshot", ts_event=T0 + i * 100_000, seq=i + 1, runs=runs))
    return out


def frames(engine, packets):
    return [engine.push(packet) for packet in packets]


@pytest.mark.parametrize("seed", range(5))
def test_mirrored_flow_has_the_other_sign(seed):
    signed = lambda word: word - (1 << 64) if word >> 63 else word  # noqa: E731
    plain, mirrored = frames(make(OFI), tape(seed)), frames(make(OFI), tape(seed, mirror=True))
    for one, other in zip(plain, mirrored):
        assert (one is None) == (other is None)
        if one:
            assert [signed(word) for word in one.words] == [-signed(word) for word in other.words]


@pytest.mark.parametrize("seed", range(5))
def test_scaled_quantities_keep_ratios_and_scale_flows(seed):
    plain, scaled = frames(make(), tape(seed)), frames(make(), tape(seed, scale=4))
    for one, other in zip(plain, scaled):
        if one:
            for i in (0, 1, 2, 6, 7):
                assert one.words[i] == other.words[i]
            for i in (3, 4, 5):
                assert one.words[i] * 4 % (1 << 64) == other.words[i]


@pytest.mark.parametrize("seed", range(5))
def test_reset_equals_new(seed):
    used = make()
    frames(used, tape(seed + 100, packets=50))
    used.push(Packet("reset"))
    # The window clock survives a reset, so the second tape lies after the first one.
    later = [Packet("snapshot", ts_event=p.ts_event + 10**9, seq=p.seq, runs=p.runs) for p in tape(seed)]
    for one, other in zip(frames(used, later), frames(make(), later)):
        assert (one is None) == (other is None)
        if one:
            assert one.words == other.words and one.epoch == 1 and other.epoch == 0
            assert one.valid_mask == other.valid_mask and one.warmup_ready_mask == other.warmup_ready_mask


def test_a_changed_bit_is_a_changed_word():
    last = None
    for frame in frames(make(), tape(7)):
        if frame is None:
            continue
        if last:
            for i, (now, before) in enumerate(zip(frame.words, last.words)):
                assert (frame.changed_mask >> i & 1) == (now != before)
        last = frame


def test_a_dropped_packet_changes_no_value():
    packets = tape(3)
    clean = [frame for frame in frames(make(sequencing="venue"), packets) if frame]
    noisy = []
    for i, packet in enumerate(packets):
        noisy.append(packet)
        if i % 3 == 0:
            noisy.append(packets[i])
        if i > 5 and i % 5 == 0:
            noisy.append(packets[i - 4])
    dirty = [frame for frame in frames(make(sequencing="venue"), noisy) if frame]
    assert [frame.words for frame in clean] == [frame.words for frame in dirty]
    assert [frame.seq for frame in clean] == [frame.seq for frame in dirty]


def two_sided(seq, bid_qty=1, ts=T0):
    return Packet("snapshot", ts_event=ts, seq=seq, runs=[["set_bid", [[1000, bid_qty]]], ["set_ask", [[1001, 1]]]])


def delta(seq, ts=T0):
    return Packet("delta", ts_event=ts, seq=seq, runs=[["set_bid", [[1000, 5]]]])


def test_64_late_packets_lose_the_book():
    engine = make(feed="delta", sequencing="venue")
    engine.push(two_sided(100))
    assert all(engine.push(delta(i + 1)) is None for i in range(63))
    frame = engine.push(delta(64))
    assert frame.quality_flags & GAP_DETECTED and frame.quality_flags & OUT_OF_ORDER_INPUT
    assert engine.push(delta(101)) is None
    assert engine.push(two_sided(5)).epoch == 1


def test_late_packets_over_5_s_lose_the_book():
    engine = make(feed="delta", sequencing="venue")
    engine.push(two_sided(100))
    assert engine.push(delta(1, T0)) is None
    assert engine.push(delta(2, T0 + 5_000_000_000 - 1)) is None
    assert engine.push(delta(3, T0 + 5_000_000_000)).quality_flags & GAP_DETECTED


def test_1000_crossed_packets_are_tolerated():
    engine = make(feed="delta")
    engine.push(two_sided(0))
    for i in range(1001):
        frame = engine.push(Packet("delta", ts_event=T0, runs=[["set_bid", [[1005, i + 1]]]]))
        assert frame.seq == i + 2
    assert engine.push(Packet("delta", ts_event=T0, runs=[["set_bid", [[1005, 0]]]])) is None


def test_a_flooded_book_is_refused_unchanged():
    engine = make(feed="delta")
    engine.push(two_sided(0))
    flood = Packet("delta", ts_event=T0 + 1, runs=[["set_ask", [[2000 + i, 1] for i in range(MAX_LEVELS)]]])
    with pytest.raises(BookCapacityError):
        engine.push(flood)
    assert engine.t_eff == T0 and len(engine.book.asks.prices) == 1
    fits = Packet("delta", ts_event=T0 + 1, runs=[["clear_ask", []], *flood.runs])
    assert engine.push(fits) is not None


def test_saturation_is_flagged():
    engine = make([{"family": "depth", "column": "bid_depth", "params": {"levels": 2000}}])
    big = 2**53 - 1
    runs = [["set_bid", [[1000 + i, big] for i in range(1100)]], ["set_ask", [[3000, 1]]]]
    frame = engine.push(Packet("snapshot", ts_event=T0, runs=runs))
    assert frame.quality_flags == SATURATED and frame.words == ((1 << 63) - 1,)


def test_trade_rows_join_the_flags_since_the_last_row():
    engine = make()
    rows = []
    RowWriter(engine, "trade", rows.append)
    engine.push(two_sided(1))
    crossed = [["set_bid", [[1002, 1]]], ["set_ask", [[1001, 1]]]]
    engine.push(Packet("snapshot", ts_event=T0 + 1, runs=crossed))
    engine.push(Packet("snapshot", ts_event=T0 + 2, runs=two_sided(1).runs, trades=[[1000, 1, "buy"]]))
    engine.push(Packet("delta", ts_event=T0 + 3, ts_recv=T0 + 5, trades=[[1000, 1, "buy"]]))
    assert [(row.seq, row.quality, row.ts_recv) for row in rows] == [(3, 0x50, None), (4, 0, T0 + 5)]


def test_grid_rows_pause_until_the_new_epoch_has_a_frame():
    engine = make()
    rows = []
    RowWriter(engine, "trade-or-step:1000", rows.append)
    engine.push(two_sided(1, ts=T0))
    engine.push(two_sided(2, ts=T0 + 1500))
    engine.push(Packet("reset"))
    engine.push(Packet("heartbeat", ts_event=T0 + 5500))
    engine.push(two_sided(1, ts=T0 + 6500))
    engine.push(Packet("delta", ts_event=T0 + 8000, trades=[[1000, 1, "buy"]]))
    assert [(row.ts_event - T0, row.epoch, row.seq) for row in rows] == [
        (1000, 0, 1),
        (7000, 1, 1),
        (8000, 1, 1),
        (8000, 1, 2),
    ]


@pytest.mark.parametrize("text", ["", "step", "step:0", "packet:5", "bars:1", "trade-or-step:"])
def test_unknown_emissions_are_refused(text):
    with pytest.raises(ValueError):
        parse_emission(text)


def test_sets_that_the_reference_does_not_implement_are_refused():
    good = feature_set_from_requests([{"family": "top", "column": "best_bid"}])
    for change in ({"rev": 2}, {"family": "tap"}, {"column": "best_bit"}, {"dtype": "f64"}):
        bad = {**good, "features": [{**good["features"][0], **change}]}
        with pytest.raises(SetError):
            features_from_canonical(bad)


def test_every_column_has_a_revision():
    for family, module in FAMILIES.items():
        assert set(module.REV) == set(module.COLUMNS), family


def test_command_line(tmp_path):
    feature_set = feature_set_from_requests(SET)
    header = {
        "featureplane_packets": 1,
        "instrument": {
            "symbol_id": 3,
            "symbol": "X",
            "venue": "v",
            "price_scale": 1,
            "qty_scale": 3,
            "tick_scaled": 1,
            "lot_scaled": 1,
            "feed": "snapshot",
            "sequencing": "venue",
            "max_age_ns": None,
        },
        "schema_hash": "0123456789abcdef",
        "feature_set": feature_set,
    }
    lines = [json.dumps(header)]
    for p in tape(1, packets=20):
        raw = {"k": p.kind, "e": p.ts_event, "r": 0, "s": p.seq, "f": 0, "p": 0, "c": 0, "runs": p.runs, "t": []}
        lines.append(json.dumps(raw))
    log, out, rows = tmp_path / "p.ndjson", tmp_path / "o.bin", tmp_path / "r.ndjson"
    log.write_text("\n".join(lines) + "\n")
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "featureplane_reference", str(log), str(out), "--rows", str(rows)]
    subprocess.run(command, cwd=root, check=True)
    parsed = [json.loads(line) for line in rows.read_text().splitlines()]
    assert parsed and len(out.read_bytes()) == len(parsed) * frame_len(len(SET))
    assert out.read_bytes()[8:16].hex() == "efcdab8967452301"
