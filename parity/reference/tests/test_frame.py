"""The bytes of frames."""

import dataclasses
import struct

import pytest
from paths import GOLDEN

from featureplane_reference.frame import Frame, FrameError, frame_len

tomllib = pytest.importorskip("tomllib")
GOLDEN_FRAMES = tomllib.loads((GOLDEN / "frames.toml").read_text())["frame"]


def golden_frame(raw):
    pack = {"i64": ("<q", int), "f64": ("<d", float), "u32": ("<Q", int)}
    words = []
    for dtype, text in zip(raw["dtypes"], raw["values"]):
        code, convert = pack[dtype]
        words.append(struct.unpack("<Q", struct.pack(code, convert(text)))[0])
    names = [field.name for field in dataclasses.fields(Frame)]
    plain = {name: raw[name] for name in names if name not in ("schema_hash", "words")}
    return Frame(schema_hash=int(raw["schema_hash"], 16), words=tuple(words), **plain)


@pytest.mark.parametrize("raw", GOLDEN_FRAMES, ids=[raw["name"] for raw in GOLDEN_FRAMES])
def test_golden_bytes(raw):
    data, frame = bytes.fromhex("".join(raw["hex"])), golden_frame(raw)
    assert frame.pack() == data
    assert Frame.parse(data, frame.schema_hash, len(frame.words)) == frame
    assert len(data) == 64 + 24 + 8 * 3


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 129])
def test_round_trip_of_wide_masks(count):
    top = (1 << count) - 1
    frame = Frame(1, 2, 3, 4, 5, 6, 7, 8, top, top >> 1, top & 0x5555, tuple(range(count)))
    assert len(frame.pack()) == frame_len(count)
    assert Frame.parse(frame.pack(), 1, count) == frame


@pytest.mark.parametrize(
    "at, value",
    [(0, 0x00), (8, 0x00), (20, 0x04), (61, 0x40), (64, 0x0A), (72, 0x0F), (80, 0x0F)],
    ids=["marker", "schema", "count", "flags", "changed", "ready", "valid"],
)
def test_a_broken_frame_is_refused(at, value):
    frame = golden_frame(GOLDEN_FRAMES[0])
    data = bytearray(frame.pack())
    data[at] = value
    with pytest.raises(FrameError):
        Frame.parse(bytes(data), frame.schema_hash, 3)


@pytest.mark.parametrize("cut", [0, 63, 64, 111])
def test_a_short_or_long_frame_is_refused(cut):
    frame = golden_frame(GOLDEN_FRAMES[0])
    for data in (frame.pack()[:cut], frame.pack() + b"\0"):
        with pytest.raises(FrameError):
            Frame.parse(data, frame.schema_hash, 3)
