// The 18 features of l2_linear_v1 and a logistic score, as a plain program computes them: five levels per
// tick, doubles, running sums over a ring. No book: somebody else keeps it.
//
// linear_score TICKS WEIGHTS ROUNDS OUT: prints the ns per tick of each round; OUT gets the 18 features and
// the score of every tick of the last round.

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

constexpr int LEVELS = 5, FEATURES = 18, WINDOWS = 3, SIGNALS = 3;
constexpr int64_t WINDOW_NS[WINDOWS] = {10'000'000, 20'000'000, 50'000'000};
constexpr size_t RING = 1 << 12;
// The instrument of the bench: tick 0.1, lot 0.001.
constexpr double PRICE_UNITS = 10.0, QTY_UNITS = 1000.0;

struct Tick {
    int64_t ts_ns;
    int64_t bid_px[LEVELS], ask_px[LEVELS], bid_qty[LEVELS], ask_qty[LEVELS];
};

struct Entry {
    int64_t ts_ns;
    double signals[SIGNALS];
};

struct Window {
    size_t tail = 0;
    double sums[SIGNALS] = {0.0, 0.0, 0.0};
};

struct Features {
    std::vector<Entry> ring = std::vector<Entry>(RING);
    Window windows[WINDOWS];
    size_t head = 0;
    bool has_last = false;
    int64_t last_bid = 0, last_ask = 0, last_bid_qty = 0, last_ask_qty = 0;

    void update(const Tick& tick, double* out) {
        const int64_t bid = tick.bid_px[0], ask = tick.ask_px[0];
        const int64_t bid_qty = tick.bid_qty[0], ask_qty = tick.ask_qty[0];
        out[0] = double(bid + ask) / (2.0 * PRICE_UNITS);
        out[1] = double(ask - bid) / PRICE_UNITS;
        int64_t flow = 0;
        if (has_last) {
            flow += (bid >= last_bid ? bid_qty : 0) - (bid <= last_bid ? last_bid_qty : 0);
            flow -= (ask <= last_ask ? ask_qty : 0) - (ask >= last_ask ? last_ask_qty : 0);
        }
        last_bid = bid, last_ask = ask, last_bid_qty = bid_qty, last_ask_qty = ask_qty;
        has_last = true;
        out[2] = double(flow) / QTY_UNITS;
        const int64_t total = bid_qty + ask_qty;
        out[3] = double(ask * bid_qty + bid * ask_qty) / (double(total) * PRICE_UNITS);
        for (int level = 0; level < LEVELS; ++level) {
            const int64_t b = tick.bid_qty[level], a = tick.ask_qty[level];
            out[4 + level] = double(b - a) / double(b + a);
        }
        // Means of flows are in lots, as the contract has them.
        push(tick.ts_ns, {{double(flow), out[1], out[4]}}, out + 9);
    }

    struct Signals {
        double values[SIGNALS];
    };

    void push(int64_t now_ns, Signals signals, double* out) {
        Entry& entry = ring[head & (RING - 1)];
        entry.ts_ns = now_ns;
        for (int signal = 0; signal < SIGNALS; ++signal) {
            entry.signals[signal] = signals.values[signal];
        }
        ++head;
        for (int index = 0; index < WINDOWS; ++index) {
            Window& window = windows[index];
            for (int signal = 0; signal < SIGNALS; ++signal) {
                window.sums[signal] += signals.values[signal];
            }
            while (ring[window.tail & (RING - 1)].ts_ns <= now_ns - WINDOW_NS[index]) {
                const Entry& old = ring[window.tail & (RING - 1)];
                for (int signal = 0; signal < SIGNALS; ++signal) {
                    window.sums[signal] -= old.signals[signal];
                }
                ++window.tail;
            }
            const double count = double(head - window.tail);
            for (int signal = 0; signal < SIGNALS; ++signal) {
                out[signal * WINDOWS + index] = window.sums[signal] / count;
            }
        }
    }
};

static double score(const double* features, const double* weights, double bias) {
    double z = bias;
    for (int index = 0; index < FEATURES; ++index) {
        z += weights[index] * features[index];
    }
    return 1.0 / (1.0 + std::exp(-z));
}

int main(int count, char** args) {
    if (count != 5) {
        std::fprintf(stderr, "expected TICKS WEIGHTS ROUNDS OUT\n");
        return 2;
    }
    std::ifstream file(args[1], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<Tick> ticks(bytes.size() / sizeof(Tick));
    std::copy(bytes.begin(), bytes.begin() + long(ticks.size() * sizeof(Tick)), reinterpret_cast<char*>(ticks.data()));
    std::ifstream plain(args[2]);
    double bias = 0.0, weights[FEATURES] = {};
    int stated = 0;
    plain >> bias >> stated;
    for (double& weight : weights) {
        plain >> weight;
    }
    if (!plain || stated != FEATURES || ticks.empty()) {
        std::fprintf(stderr, "expected ticks and %d weights\n", FEATURES);
        return 2;
    }
    std::vector<double> out(ticks.size() * (FEATURES + 1));
    for (int round = 0; round < std::atoi(args[3]); ++round) {
        Features features;
        double sum = 0.0;
        const auto start = std::chrono::steady_clock::now();
        for (size_t index = 0; index < ticks.size(); ++index) {
            double row[FEATURES];
            features.update(ticks[index], row);
            sum += score(row, weights, bias);
        }
        const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
        std::printf("%.6f %.17g\n", spent.count() / double(ticks.size()), sum);
    }
    Features features;
    for (size_t index = 0; index < ticks.size(); ++index) {
        double* row = &out[index * (FEATURES + 1)];
        features.update(ticks[index], row);
        row[FEATURES] = score(row, weights, bias);
    }
    std::ofstream result(args[4], std::ios::binary);
    result.write(reinterpret_cast<const char*>(out.data()), long(out.size() * sizeof(double)));
    return result ? 0 : 1;
}
