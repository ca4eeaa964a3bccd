"""Features inside a strategy: push packets, get views, save and restore the state."""

from __future__ import annotations

import featureplane as fp

SETTINGS = {"BTCUSDT": {"tick_size": "0.10", "lot_size": "0.001", "feed": "delta", "sequencing": "venue"}}


def main() -> int:
    """Run a strategy over a few packets and return the number of signals."""
    engine = fp.FeatureEngine("core_v1", SETTINGS)
    signals: list[fp.FeatureView] = []

    def on_features(view: fp.FeatureView) -> None:
        imbalance = view.value("l1_imbalance")
        if view.quality_flags == 0 and imbalance is not None and imbalance > 0.5:
            signals.append(view)

    engine.on_features(on_features, features=["l1_imbalance"])
    start_ns = 1_723_161_256_000_000_000
    engine.process_packet(
        "BTCUSDT",
        kind="snapshot",
        ts_event=start_ns,
        seq=1,
        bids=[("61800.1", "0.696"), ("61800.0", "2.909")],
        asks=[("61800.3", "0.012"), ("61800.4", "1.5")],
    )
    state = engine.snapshot()
    engine.process_packet("BTCUSDT", ts_event=start_ns + 1_000_000, seq=2, asks=[("61800.3", "5")])

    again = fp.FeatureEngine("core_v1", SETTINGS)
    again.restore(state)
    again.process_packet("BTCUSDT", ts_event=start_ns + 1_000_000, seq=2, asks=[("61800.3", "5")])
    assert again.frame_bytes("BTCUSDT") == engine.frame_bytes("BTCUSDT")
    print(f"{len(signals)} signal(s), last frame {engine.get_feature_view('BTCUSDT')}")
    return len(signals)


if __name__ == "__main__":
    main()
