//! The dashboard: what it is told, and what a browser makes of it.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use feature_kernel::{FeatureSet, FeatureSpec};
use feature_live::canary::{Policy, Rollout, RolloutStage};
use feature_live::{Canary, Dashboard, Metrics, Plane, Server, Watched, fetch};
use feature_runtime::LatestWriter;
use market::{engine, packets, set, troubled};
use market_model::{Instrument, Packet};
use serde_json::Value;
use testkit::{Browser, element_text};

/// A name that would be a picture, if anything read it as HTML.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

const POLICY: &str = r#"
promote_after = 2
rollback_after = 1
[[rule]]
name = "frames"
kind = "increase"
metric = "featureplane_frames_total"
at_least = 1
breach = "hold"
[[rule]]
name = "drops"
kind = "increase"
metric = "featureplane_packets_dropped_total"
at_most = 0
breach = "rollback"
"#;

/// A page about a plane that has seen the packets, and the plane, which is still at work.
fn serve(
    set: &FeatureSet,
    instruments: &[Instrument],
    tape: &[Packet],
    state: &Path,
) -> (Server, Plane) {
    let engine = engine(set, instruments);
    let feature_set = Arc::clone(engine.feature_set());
    let names: Vec<&str> = instruments.iter().map(|i| i.symbol.as_str()).collect();
    let plane = Plane::new(engine).with_latest(LatestWriter::in_memory(set, &names, &[]));
    let counters = Arc::clone(plane.counters());
    let watched = Watched { counters, shadow: None, feed: Vec::new(), set: feature_set };
    let canary =
        Canary { policy: Policy::parse(POLICY).unwrap(), rollout: Some(Rollout::new(state)) };
    let dashboard = Dashboard::new(&plane, watched.clone(), "test", 128).with_canary(canary);
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(address, Metrics::new(watched), Some(dashboard)).unwrap();
    let mut plane = plane;
    tape.iter().for_each(|packet| plane.process(packet, Instant::now()).unwrap());
    (server, plane)
}

fn state(server: &Server) -> Value {
    let text = fetch(&format!("http://{}/state.json", server.address())).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_state_is_the_latest_frame_and_the_counters() {
    let folder = tempfile::tempdir().unwrap();
    let (instrument, tape) = packets(&troubled());
    let set = set("core_v1");
    let (server, plane) = serve(&set, &[instrument], &tape, &folder.path().join("rollout.json"));
    let state = state(&server);
    let view = plane.engine().get_feature_view(0, None).unwrap().unwrap();
    let symbol = &state["symbols"][0];
    assert_eq!(symbol["frame"]["seq"], view.frame().header().seq);
    assert_eq!(symbol["frames"], plane.counters().symbols[0].frames.get());
    let gaps = plane.counters().symbols[0].quality[0].get();
    assert!(gaps > 0);
    assert_eq!(symbol["quality"]["GAP_DETECTED"], gaps);
    assert_eq!(state["features"].as_array().unwrap().len(), set.len());
    let values = symbol["frame"]["values"].as_array().unwrap();
    for (index, feature) in set.features().iter().enumerate() {
        assert_eq!(symbol["frame"]["ready"][index], view.is_ready(index), "{}", feature.name);
        assert_eq!(values[index].is_null(), view.value(index).is_none(), "{}", feature.name);
    }
    let bid = plane.engine().get_feature(0, "best_bid").unwrap().unwrap().as_f64();
    let shown: f64 = values[set.index_of("best_bid").unwrap()].as_str().unwrap().parse().unwrap();
    assert!((shown * 10.0 - bid).abs() < 1e-6, "{shown} {bid}");
    assert_eq!(state["latency"][1]["count"], symbol["frames"]);
    assert!(state["latency"][0]["p99_ns"].as_u64() <= state["latency"][2]["p99_ns"].as_u64());
    assert_eq!((&state["has_ended"], &state["shadow"]), (&Value::Bool(false), &Value::Null));
    drop(plane);
    assert_eq!(self::state(&server)["has_ended"], true);
}

#[test]
fn the_verdict_follows_policy_and_rollout_and_changes_neither() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollout.json");
    let (instrument, tape) = packets(&troubled());
    let (server, _plane) = serve(&set("core_v1"), &[instrument], &tape, &path);
    let first = state(&server)["canary"].clone();
    assert_eq!(first["evaluation"]["verdict"], "hold");
    assert_eq!(first["evaluation"]["reason"], "every rule passed; 1 of 2 in a row");
    assert_eq!(first["rollout"]["version"], 0);
    let change = |state: &mut feature_live::canary::State| {
        (state.stage, state.streak.passes) = (RolloutStage::Canary, 1);
    };
    Rollout::new(&path).swap(0, change, 1).unwrap();
    let before = std::fs::read(&path).unwrap();
    let later = state(&server)["canary"].clone();
    assert_eq!(later["evaluation"]["verdict"], "promote");
    assert_eq!(later["rollout"]["stage"], "canary");
    assert_eq!(std::fs::read(&path).unwrap(), before, "the page only looks");
    std::fs::write(&path, "{").unwrap();
    let broken = state(&server)["canary"].clone();
    assert!(broken["problem"].as_str().unwrap().contains("rollout.json"), "{broken}");
    assert_eq!(broken["evaluation"]["verdict"], "hold");
}

#[test]
fn a_browser_shows_values_and_verdict_and_reads_no_name_as_html() {
    let folder = tempfile::tempdir().unwrap();
    let Some(browser) = Browser::find(folder.path()) else { return };
    let (mut quiet, tape) = packets(&troubled());
    let traded = quiet.clone();
    (quiet.symbol, quiet.symbol_id) = (HOSTILE.into(), 1);
    let (server, _plane) =
        serve(&set("core_v1"), &[traded, quiet], &tape, &folder.path().join("rollout.json"));
    let url = format!("http://{}/", server.address());
    let dom = browser.dom(&url);
    assert_eq!(element_text(&dom, "id=\"state\""), "running");
    assert_eq!(element_text(&dom, "id=\"tile-canary\""), "hold");
    assert_eq!(element_text(&dom, "id=\"tile-parity\""), "no shadow");
    let rules = element_text(&dom, "id=\"rules\"");
    assert!(rules.ends_with("drops pass 0 is within its limits"), "{rules}");
    let symbols = element_text(&dom, "id=\"symbols\"");
    assert!(symbols.contains("&lt;img src=x onerror=alert(1)&gt; no frame yet 0"), "{symbols}");
    assert!(!dom.contains("<img"), "a name became a picture");
    let values = state(&server)["symbols"][0]["frame"]["values"].clone();
    let bid = format!("best_bid {} price", values[0].as_str().unwrap());
    assert_eq!(element_text(&dom, "data-feature=\"best_bid\""), bid);
    let blank = browser.picture("about:blank", [1280, 1600]).len();
    for size in [[1280, 1600], [500, 1600]] {
        let picture = browser.picture(&url, size);
        let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        assert_eq!([side(16), side(20)], size);
        assert!(picture.len() > 10 * blank, "{} bytes, a blank page has {blank}", picture.len());
    }
}

#[test]
fn a_page_without_any_frame_or_with_a_single_feature_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(browser) = Browser::find(folder.path()) else { return };
    let column = |column: &str| FeatureSpec {
        family: "mid_spread".into(),
        column: column.into(),
        ..FeatureSpec::default()
    };
    let single = FeatureSet::new("single", &[column("mid")]).unwrap();
    let (instrument, tape) = packets(&troubled());
    for (tape, frame) in [(&tape[..0], ": no frame yet"), (&tape[..40], ", frame ")] {
        let path = folder.path().join("rollout.json");
        let (server, _plane) = serve(&single, std::slice::from_ref(&instrument), tape, &path);
        let dom = browser.dom(&format!("http://{}/", server.address()));
        let shown = element_text(&dom, "id=\"frame\"");
        assert!(shown.starts_with(&format!("1 feature of BTCUSDT{frame}")), "{shown}");
        assert_eq!(element_text(&dom, "id=\"state\""), "running");
        let value = element_text(&dom, "data-feature=\"mid\"");
        assert_eq!(value == "mid null price", tape.is_empty(), "{value}");
    }
}
