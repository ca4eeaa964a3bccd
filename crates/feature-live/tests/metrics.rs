//! What a scrape says, and that nothing a client does is felt by the engine.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use feature_live::{
    Dashboard, EngineTwin, FeedCounters, Loss, MetricKind, Metrics, Plane, Report, Server, Shadow,
    ShadowOptions, Twin, Watched, WorkerOptions, metric_specs, start,
};
use market::{engine, packets, plain, set, troubled};
use market_model::Packet;

/// A twin that has one lot more everywhere.
struct Drifts(EngineTwin);

impl Twin for Drifts {
    fn name(&self) -> &'static str {
        "drifts"
    }

    fn process(&mut self, packet: &Packet, words: &mut Vec<u64>) -> bool {
        let mut packet = packet.clone();
        packet.levels.iter_mut().for_each(|l| l.qty_lots += i64::from(l.qty_lots > 0));
        self.0.process(&packet, words)
    }
}

fn get(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn scrape(address: SocketAddr) -> String {
    let response = get(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"));
    body.to_owned()
}

/// Runs the troubled market; `beside` is called with the address while the engine runs.
fn run(beside: impl FnOnce(SocketAddr) + Send + 'static) -> (Report, String) {
    let (instrument, tape) = packets(&troubled());
    let set = set("core_v1");
    let primary = engine(&set, std::slice::from_ref(&instrument));
    let twin = Drifts(EngineTwin(engine(&set, &[instrument])));
    let options = ShadowOptions { check_every: 50, deep_every: 2 };
    let shadow = Shadow::new(Box::new(twin), &primary, options).unwrap();
    let shadow_counters = Arc::clone(shadow.counters());
    let feature_set = Arc::clone(primary.feature_set());
    let plane = Plane::new(primary).with_stage(Box::new(shadow));
    let counters = Arc::clone(plane.counters());
    let feed = vec![Arc::new(FeedCounters::new("BTCUSDT"))];
    feed[0].lost[Loss::Silent as usize].add(3);
    let watched = Watched { counters, shadow: Some(shadow_counters), feed, set: feature_set };
    let dashboard = Dashboard::new(&plane, watched.clone(), "test", 1 << 17);
    let bind = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(bind, Metrics::new(watched), Some(dashboard)).unwrap();
    let address = server.address();
    let other = std::thread::spawn(move || beside(address));
    let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
    for packet in &tape {
        sender.packet().copy_from(packet);
        sender.send().unwrap();
    }
    drop(sender);
    let report = worker.join().unwrap();
    other.join().unwrap();
    let text = scrape(address);
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "the server has ended");
    (report, text)
}

fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().unwrap()
}

#[test]
fn a_scrape_says_what_the_worker_counted_under_the_listed_names() {
    let (report, text) = run(|_| {});
    let counters = &report.counters;
    let symbol = &counters.symbols[0];
    for (sample, want) in [
        ("featureplane_packets_total", counters.packets.get()),
        ("featureplane_frames_total{symbol=\"BTCUSDT\"}", symbol.frames.get()),
        (
            "featureplane_packets_by_fate_total{symbol=\"BTCUSDT\",fate=\"gaps\"}",
            symbol.fates[4].get(),
        ),
        (
            "featureplane_quality_frames_total{symbol=\"BTCUSDT\",flag=\"CROSSED_BOOK\"}",
            symbol.quality[6].get(),
        ),
        ("featureplane_feed_lost_total{symbol=\"BTCUSDT\",cause=\"silent\"}", 3),
        ("featureplane_packet_to_frame_seconds_count", symbol.frames.get()),
        ("featureplane_packet_to_end_seconds_bucket{le=\"+Inf\"}", counters.packets.get()),
    ] {
        assert!(want > 0, "{sample}");
        assert_eq!(value(&text, sample), want as f64, "{sample}");
    }
    assert!(value(&text, "featureplane_shadow_mismatched_frames_total") > 100.0);
    assert!(text.contains("featureplane_shadow_feature_mismatches_total{feature=\""));
    let age = value(&text, "featureplane_frame_age_seconds{symbol=\"BTCUSDT\"}");
    assert!((0.0..600.0).contains(&age), "{age}");

    let mut listed = BTreeSet::new();
    for spec in metric_specs() {
        assert!(!spec.help.is_empty() && spec.help.ends_with('.'), "{}", spec.name);
        let kind = match spec.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        assert!(
            text.contains(&format!("# TYPE {} {kind}\n", spec.name)),
            "{} is absent",
            spec.name
        );
        let ending = if spec.kind == MetricKind::Counter { "_total" } else { "" };
        let start = format!("{}{ending}", spec.name);
        let labels: String = spec.labels.iter().map(|label| format!("{label}=\"")).collect();
        let sample = text.lines().find(|line| line.starts_with(&start)).unwrap();
        let names: String = sample
            .split(['{', ','])
            .skip(1)
            .filter_map(|part| {
                let (name, _) = part.split_once("=\"")?;
                (name != "le").then(|| format!("{name}=\""))
            })
            .collect();
        assert_eq!(names, labels, "{sample}");
        assert!(listed.insert(spec.name));
    }
    let exported: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(exported, listed, "nothing is exported that is not listed");
}

#[test]
fn what_clients_do_is_not_felt_by_the_engine() {
    let rude = |address: SocketAddr| {
        let silent: Vec<_> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
        for _ in 0..20 {
            scrape(address);
            assert!(
                get(address, "GET /no HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404")
            );
            assert!(
                get(address, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                    .starts_with("HTTP/1.1 405")
            );
            assert!(get(address, "\u{1}\u{2}garbage\r\n\r\n").contains("400"));
            drop(TcpStream::connect(address).unwrap());
        }
        let state = get(address, "GET /state.json HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(state.contains("application/json") && state.ends_with('}'), "{state}");
        let page = get(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
        assert!(get(address, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("ok\n"));
        drop(silent);
    };
    let (report, _) = run(rude);
    let (instrument, tape) = packets(&troubled());
    assert_eq!(report.counters.packets.get(), tape.len() as u64);
    let frames = plain(&set("core_v1"), &instrument, &tape).len();
    assert_eq!(report.counters.symbols[0].frames.get(), frames as u64);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let engine = engine(&set("core_v1"), &[packets(&troubled()).0]);
    let feature_set = Arc::clone(engine.feature_set());
    let counters = Arc::clone(Plane::new(engine).counters());
    let metrics =
        Metrics::new(Watched { counters, shadow: None, feed: Vec::new(), set: feature_set });
    assert!(!metrics.text().contains("featureplane_shadow_checks"), "absent, not zero");
    let error = Server::start(address, metrics, None).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
