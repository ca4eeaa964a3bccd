// A book of single orders as a plain program keeps one: orders in a vector by their id, levels in a pool, and
// for each side a sorted vector of prices with the best one at its end, searched from there. Levels know their
// lots and how many orders they have, not which.
//
// plain_book EVENTS OUT: prints the ns per event of one round; OUT gets price and lots of the best bid and ask
// after every event, of a second round.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

enum : uint32_t { ADD, REDUCE, REMOVE };

struct Event {
    uint64_t id;
    int64_t price, lots;
    uint32_t op, side;
};

struct Order {
    uint32_t level, side;
    int64_t lots;
};

struct Level {
    int64_t lots;
    uint32_t orders;
};

struct Price {
    // Of asks the negative, so that the best one is the highest on both sides.
    int64_t key;
    uint32_t level;
};

class Book {
    std::vector<Order> orders = std::vector<Order>(1 << 16);
    std::vector<Level> levels;
    std::vector<uint32_t> vacant;
    std::vector<Price> sides[2];

    uint32_t level_at(uint32_t side, int64_t price) {
        std::vector<Price>& prices = sides[side];
        const int64_t key = side == 0 ? price : -price;
        size_t at = prices.size();
        while (at > 0 && prices[at - 1].key > key) {
            --at;
        }
        if (at > 0 && prices[at - 1].key == key) {
            return prices[at - 1].level;
        }
        uint32_t level = uint32_t(levels.size());
        if (vacant.empty()) {
            levels.push_back({0, 0});
        } else {
            level = vacant.back();
            vacant.pop_back();
        }
        prices.insert(prices.begin() + long(at), {key, level});
        return level;
    }

    void forget(uint32_t side, uint32_t level) {
        std::vector<Price>& prices = sides[side];
        size_t at = prices.size() - 1;
        while (prices[at].level != level) {
            --at;
        }
        prices.erase(prices.begin() + long(at));
        vacant.push_back(level);
    }

public:
    void add(uint64_t id, uint32_t side, int64_t price, int64_t lots) {
        if (id >= orders.size()) {
            orders.resize(id * 2);
        }
        const uint32_t level = level_at(side, price);
        orders[id] = {level, side, lots};
        levels[level].lots += lots;
        levels[level].orders += 1;
    }

    void reduce(uint64_t id, int64_t lots) {
        orders[id].lots -= lots;
        levels[orders[id].level].lots -= lots;
    }

    void remove(uint64_t id) {
        const Order order = orders[id];
        Level& level = levels[order.level];
        level.lots -= order.lots;
        level.orders -= 1;
        if (level.orders == 0) {
            forget(order.side, order.level);
        }
    }

    void apply(const Event& event) {
        switch (event.op) {
            case ADD: add(event.id, event.side, event.price, event.lots); break;
            case REDUCE: reduce(event.id, event.lots); break;
            default: remove(event.id);
        }
    }

    void best(uint32_t side, int64_t* out) const {
        if (sides[side].empty()) {
            out[0] = out[1] = 0;
            return;
        }
        const Price& price = sides[side].back();
        out[0] = side == 0 ? price.key : -price.key;
        out[1] = levels[price.level].lots;
    }
};

int main(int count, char** args) {
    if (count != 3) {
        std::fprintf(stderr, "expected EVENTS OUT\n");
        return 2;
    }
    std::ifstream file(args[1], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<Event> events(bytes.size() / sizeof(Event));
    std::copy(bytes.begin(), bytes.begin() + long(events.size() * sizeof(Event)), reinterpret_cast<char*>(events.data()));
    if (events.empty()) {
        std::fprintf(stderr, "no events\n");
        return 2;
    }
    Book timed;
    const auto start = std::chrono::steady_clock::now();
    for (const Event& event : events) {
        timed.apply(event);
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    std::printf("%.6f\n", spent.count() / double(events.size()));
    int64_t row[4];
    timed.best(0, row);
    std::vector<int64_t> out;
    out.reserve(events.size() * 4);
    Book book;
    for (const Event& event : events) {
        book.apply(event);
        book.best(0, row), book.best(1, row + 2);
        out.insert(out.end(), row, row + 4);
    }
    std::ofstream result(args[2], std::ios::binary);
    result.write(reinterpret_cast<const char*>(out.data()), long(out.size() * sizeof(int64_t)));
    return result ? 0 : 1;
}
