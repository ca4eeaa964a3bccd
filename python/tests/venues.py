"""A loopback server that answers as four venues do: their documented shapes, books that move."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

START_MS = time.time_ns() // 1_000_000


@dataclass
class Venues:
    """What the server does and what it saw.

    Attributes
    ----------
    faults
        Answers of the next requests for books: ``(status, headers, body)``; then books again.
    books
        Books answered so far.
    seen
        Paths and queries in order.
    """

    url: str = ""
    faults: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    books: int = 0
    seen: list[str] = field(default_factory=list)

    def answer(self, target: str) -> tuple[int, dict[str, str], str]:
        self.seen.append(target)
        url = urlsplit(target)
        if url.path in MARKETS:
            return 200, {}, json.dumps(MARKETS[url.path])
        if url.path not in BOOKS:
            return 404, {}, json.dumps({"code": 404, "msg": f"no {url.path}"})
        if self.faults:
            return self.faults.pop(0)
        book = BOOKS[url.path](self.books, parse_qs(url.query))
        self.books += 1
        return 200, {}, json.dumps(book)


def side(count: int, step: int, sign: int, digits: int) -> list[list[str]]:
    """One side of a book around 50,000 + step / 10, best first, as text with the venue's zeros."""
    best = 500_000 + step % 7 + (0 if sign < 0 else 2)
    sizes = [1 + (step * 37 + level * 11) % 97 for level in range(count)]
    return [[f"{(best + sign * level) / 10:.{digits}f}", f"{size / 1000:.8f}"]
            for level, size in enumerate(sizes)]  # fmt: skip


def binance(step: int, query: dict[str, list[str]]) -> Any:
    count = int(query["limit"][0])
    bids, asks = side(count, step, -1, 8), side(count, step, 1, 8)
    return {"lastUpdateId": 48_000_000_000 + 5 * step, "bids": bids, "asks": asks}


def kraken(step: int, query: dict[str, list[str]]) -> Any:
    count = int(query["count"][0])
    stamped = {name: [[*level, 1_716_863_719] for level in side(count, step, sign, 5)]
               for name, sign in (("bids", -1), ("asks", 1))}  # fmt: skip
    return {"error": [], "result": {"XXBTZUSD": stamped}}


def bybit(step: int, query: dict[str, list[str]]) -> Any:
    count, at = int(query["limit"][0]), START_MS + 300 * step
    book = {"s": "BTCUSDT", "b": side(count, step, -1, 1), "a": side(count, step, 1, 1), "ts": at,
            "u": 230_704 + step, "seq": 1_432_604_333 + step, "cts": at - 5}  # fmt: skip
    return {"retCode": 0, "retMsg": "OK", "result": book, "retExtInfo": {}, "time": at + 1}


def kucoin(step: int, _query: dict[str, list[str]]) -> Any:
    book = {"time": START_MS + 300 * step, "sequence": str(14_610_502_970 + 4 * step),
            "bids": side(20, step, -1, 1), "asks": side(20, step, 1, 1)}  # fmt: skip
    return {"code": "200000", "data": book}


BOOKS = {
    "/api/v3/depth": binance,
    "/0/public/Depth": kraken,
    "/v5/market/orderbook": bybit,
    "/api/v1/market/orderbook/level2_20": kucoin,
}

MARKETS: dict[str, Any] = {
    "/api/v3/exchangeInfo": {
        "timezone": "UTC", "serverTime": START_MS, "rateLimits": [], "exchangeFilters": [],
        "symbols": [{
            "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8,
            "quoteAsset": "USDT", "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT"],
            "isSpotTradingAllowed": True, "isMarginTradingAllowed": True, "permissions": [],
            "permissionSets": [["SPOT"]],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
                 "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000",
                 "stepSize": "0.00001000"},
            ],
        }],
    },
    "/0/public/AssetPairs": {
        "error": [],
        "result": {"XXBTZUSD": {
            "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT",
            "aclass_quote": "currency", "quote": "ZUSD", "lot": "unit", "cost_decimals": 5,
            "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [2, 3],
            "leverage_sell": [2, 3], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
            "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40, "ordermin": "0.00005",
            "costmin": "0.5", "tick_size": "0.1", "status": "online",
        }},
    },
    "/v5/market/instruments-info": {
        "retCode": 0, "retMsg": "OK", "retExtInfo": {}, "time": START_MS,
        "result": {"category": "spot", "list": [{
            "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "innovation": "0",
            "status": "Trading", "marginTrading": "both",
            "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.00000001",
                              "minOrderQty": "0.000048", "maxOrderQty": "71.73956243", "minOrderAmt": "1",
                              "maxOrderAmt": "4000000"},
            "priceFilter": {"tickSize": "0.01"},
        }]},
    },
    "/api/v2/symbols": {"code": "200000", "data": [{
        "symbol": "BTC-USDT", "name": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT",
        "feeCurrency": "USDT", "market": "USDS", "baseMinSize": "0.00001", "quoteMinSize": "0.1",
        "baseMaxSize": "10000000000", "quoteMaxSize": "99999999", "baseIncrement": "0.00000001",
        "quoteIncrement": "0.000001", "priceIncrement": "0.1", "priceLimitRate": "0.1", "minFunds": "0.1",
        "isMarginEnabled": True, "enableTrading": True,
    }]},
}  # fmt: skip


@contextmanager
def serve(venues: Venues | None = None) -> Iterator[Venues]:
    """Serve on a free port of the loopback until the block ends."""
    answering = venues or Venues()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answering.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the tests read what was seen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answering.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield answering
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
