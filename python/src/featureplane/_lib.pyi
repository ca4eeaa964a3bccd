from typing import Any, Final, final

__all__ = ["__version__", "FeatureEngine", "FeatureView", "RawTable", "built_in_sets", "decode_frame", "describe_set", "extract", "families"]

__version__: Final[str]
"""
Version of the package.
"""

@final
class FeatureEngine:
    """
    Features of many symbols from one feature set, packet by packet.

    Parameters
    ----------
    feature_set
        Id of a built-in set, path of a `.json` file, or the JSON text of a set.
    symbols
        Settings by symbol. `tick_size` and `lot_size` are decimal text or `Decimal` (or the four
        integers `price_scale`, `tick_scaled`, `qty_scale`, `lot_scaled`); optional are `feed` (`"delta"`
        or `"snapshot"`), `sequencing` (`"venue"`, `"source_time"` or `"arrival"`), `max_age_ns` (None:
        never stale) and `venue`.

    Raises
    ------
    ConfigError
        A setting is wrong.

    Notes
    -----
    Prices are integer ticks and quantities integer lots. Text and `Decimal` are converted exactly;
    floats are refused. Defects of market data are quality bits of the frame, not exceptions.

    Examples
    --------
    >>> import featureplane as fp
    >>> engine = fp.FeatureEngine("lob_shared_v1", {"BTCUSDT": {"tick_size": "0.1", "lot_size": "0.001"}})
    >>> engine.process_packet("BTCUSDT", kind="snapshot", ts_event=1_700_000_000_000_000_000,
    ...                       bids=[(618_001, 696)], asks=[("61800.3", "0.012")])
    True
    >>> engine.get_feature("BTCUSDT", "spread_scaled")
    2
    """
    def __new__(cls, /, feature_set: "str", symbols: "collections.abc.Mapping[str, collections.abc.Mapping[str, object]]") -> FeatureEngine: ...
    def __repr__(self, /) -> str: ...
    @property
    def canonical_json(self, /) -> str:
        """
        Canonical JSON of the feature set, of which the schema hash is made.
        """
    def counters(self, symbol: "str", /) -> "dict[str, int]":
        """
        Return the packets of a symbol by fate: applied, duplicates, late, gaps, rejected and so on.
        """
    @property
    def feature_names(self, /) -> list[str]:
        """
        Names of the features in the order of the set.
        """
    def frame_bytes(self, symbol: "str", /) -> "bytes | None":
        """
        Return the last frame of a symbol as bytes of `FeatureUpdateFrameV1`, or None before the first.
        """
    def get_feature(self, symbol: "str", feature: "int | str", /) -> "int | float | None":
        """
        Return the value of a feature by name or index.

        Returns
        -------
        int, float or None
            None before the first frame of the epoch and where the value is not defined.

        Raises
        ------
        UnknownSymbolError, UnknownFeatureError
            The engine does not have the symbol or the feature.
        """
    def get_feature_set_id(self, /) -> str:
        """
        Return the id of the feature set.
        """
    def get_feature_view(self, /, symbol: "str", now_ns: "int | None" = None) -> "FeatureView | None":
        """
        Return a copy of the last frame of a symbol, or None before the first one of the epoch.

        Parameters
        ----------
        symbol
            Symbol.
        now_ns
            The caller's clock, UTC ns, against which `age_ns` of the view is told; the engine has none.
        """
    def on_features(self, /, callback: "collections.abc.Callable[[FeatureView], object]", features: "collections.abc.Sequence[str] | None" = None, schema_hash: "str | None" = None) -> "int":
        """
        Call `callback` with a `FeatureView` for each frame that matters to it, and return a handle.

        A frame matters when one of `features` changed in it or when it carries a quality bit; the first
        frame of a symbol always does. An exception in a callback is raised by `process_packet` after
        the engine has finished the packet and all callbacks have run. A callback that uses the engine
        gets a `FeatureError`.

        Parameters
        ----------
        callback
            Called in the thread that processes the packet.
        features
            Names; None means all.
        schema_hash
            Schema hash that the consumer was built for, 16 hex digits; None means the engine's own.

        Raises
        ------
        UnknownFeatureError, SchemaMismatchError
            The set has no such feature, or is another one.
        """
    def process_packet(self, /, symbol: "str", *, ts_event: "int", kind: "str" = "delta", ts_recv: "int" = 0, seq: "int" = 0, first_seq: "int" = 0, prev_seq: "int" = 0, bids: "Levels | None" = None, asks: "Levels | None" = None, trades: "Trades | None" = None, clear_bids: "bool | Number" = None, clear_asks: "bool | Number" = None, checksum_mismatch: "bool" = False) -> "bool":
        """
        Take one packet and make a frame, if one is due.

        Parameters
        ----------
        symbol
            Symbol of the packet.
        kind
            `"delta"`, `"snapshot"`, `"reset"`, `"heartbeat"` or `"rejected"`; the last three have no
            content.
        ts_event, ts_recv
            Event and arrival time, UTC ns; 0 when unknown.
        seq, first_seq, prev_seq
            Last and first update id of the packet, and last one of the packet before; 0 when the feed
            has none.
        bids, asks
            Levels `(price, quantity)`, or an int64 array of shape (N, 2) of ticks and lots. Quantity 0
            deletes a level.
        trades
            `(price, quantity, side)`, the side being `"buy"`, `"sell"` or None when unknown: who took
            liquidity.
        clear_bids, clear_asks
            True clears the side before the levels are set; a price clears from the best up to it.
        checksum_mismatch
            Whether the venue's checksum did not match after this packet.

        Returns
        -------
        bool
            Whether a frame was made.

        Raises
        ------
        UnknownSymbolError
            The engine does not have the symbol.
        ConfigError
            A price is no multiple of the tick, a quantity none of the lot, or a word is unknown.
        TypeError
            A float was given as price or quantity.
        """
    def process_packet_runs(self, symbol: "str", kind: "str", ts_event: "int", ts_recv: "int", seq: "int", first_seq: "int", prev_seq: "int", checksum_mismatch: "bool", runs: "collections.abc.Iterable[collections.abc.Sequence[typing.Any]]", trades: "Trades", /) -> "bool":
        """
        Take one packet whose level changes are given as runs, in their order.

        A run is `(operation, levels)` with `"set_bid"`, `"set_ask"`, `"clear_bid"` or `"clear_ask"`.
        This is the form of the packet log; everything else is as in `process_packet`.
        """
    def reset(self, symbol: "str", /) -> "None":
        """
        Reset a symbol, as a session reset of the venue does: the book and all state are cleared.
        """
    def restore(self, state: "bytes", /) -> "None":
        """
        Continue from a snapshot of an engine with the same feature set and symbols.

        Raises
        ------
        SchemaMismatchError, DecodeError
            The snapshot is of another set, of other symbols, or damaged; the engine is unchanged.
        """
    @property
    def schema_hash(self, /) -> str:
        """
        Schema hash of the feature set, 16 hex digits.
        """
    def snapshot(self, /) -> bytes:
        """
        Return the whole state as bytes; equal states give equal bytes.
        """
    @property
    def symbols(self, /) -> list[str]:
        """
        Symbols in the order of their ids.
        """
    def unsubscribe(self, handle: "int", /) -> "bool":
        """
        End a subscription; return False when it had ended before.
        """

@final
class FeatureView:
    """
    One frame of one symbol: an immutable copy, so it may be kept, pickled as bytes and passed on.

    Values are scaled integers or floats, as the feature set says (`featureplane.describe_set`).
    """
    def __repr__(self, /) -> str: ...
    @property
    def age_ns(self, /) -> int | None:
        """
        Age of the frame in ns against the `now_ns` that the caller gave; None when it gave none.
        """
    def as_dict(self, /) -> "dict[str, int | float | None]":
        """
        Return all values by name; None where a value is not defined.
        """
    @property
    def epoch(self, /) -> int:
        """
        Session number: from 0, one more at each reset.
        """
    @property
    def feature_names(self, /) -> list[str]:
        """
        Names of the features in the order of the set.
        """
    def is_changed(self, feature: "int | str", /) -> "bool":
        """
        Return whether the value of a feature differs from the frame before.
        """
    def is_ready(self, feature: "int | str | None" = None, /) -> "bool":
        """
        Return whether a feature, or without argument every feature, has seen enough packets and time.
        """
    def is_valid(self, feature: "int | str", /) -> "bool":
        """
        Return whether the value of a feature is defined for this frame.
        """
    @property
    def local_ts_ns(self, /) -> int:
        """
        Arrival time, UTC ns; 0 when unknown.
        """
    @property
    def quality_flags(self, /) -> int:
        """
        Quality bits; 0 is clean. `featureplane.QualityFlags` names them.
        """
    @property
    def schema_hash(self, /) -> str:
        """
        Schema hash of the feature set, 16 hex digits.
        """
    @property
    def seq(self, /) -> int:
        """
        Frame number of the symbol in the epoch, from 1.
        """
    @property
    def source_seq(self, /) -> int:
        """
        Update id of the packet; 0 when it had none.
        """
    @property
    def source_ts_ns(self, /) -> int:
        """
        Event time, UTC ns.
        """
    @property
    def symbol(self, /) -> str:
        """
        Symbol.
        """
    @property
    def symbol_id(self, /) -> int:
        """
        Dense id of the symbol in its engine.
        """
    def to_bytes(self, /) -> bytes:
        """
        Return the frame as the bytes of `FeatureUpdateFrameV1`.
        """
    def value(self, feature: "int | str", /) -> "int | float | None":
        """
        Return the value of a feature by name or index.

        Parameters
        ----------
        feature
            Name, or index in the feature set.

        Returns
        -------
        int, float or None
            None where the value is not defined for this frame.

        Raises
        ------
        UnknownFeatureError
            The set has no such feature.
        """
    @property
    def values(self, /) -> Any:
        """
        Values as a NumPy record with one field per feature; where a value is not defined, the last
        one that was, or 0. Read-only. Needs NumPy.
        """
    @property
    def words(self, /) -> memoryview:
        """
        Value words in the order of the set as a read-only memoryview of unsigned 64-bit integers:
        an i64 in two's complement, an f64 as its bits. Works without NumPy.
        """

@final
class RawTable:
    """
    Arrow batches of one extraction; users see `featureplane.FeatureTable`.
    """
    def __arrow_c_schema__(self, /) -> "types.CapsuleType":
        """
        Return an Arrow C schema capsule.
        """
    def __arrow_c_stream__(self, /, requested_schema: "object | None" = None) -> "types.CapsuleType":
        """
        Return an Arrow C stream capsule.
        """
    def column(self, column: "str", /) -> "tuple[str, bytes | list[str | None], bytes | None]":
        """
        Return one column as a NumPy type string, values and validity.

        The values are bytes, or a list of strings when the type is `O`; the validity has one byte per
        row and is None when no value is missing.
        """
    def column_metadata(self, column: "str", /) -> "dict[str, str]":
        """
        Metadata of one column: family, unit, scale, description.
        """
    @property
    def column_names(self, /) -> list[str]:
        """
        Names of the columns.
        """
    @property
    def metadata(self, /) -> dict[str, str]:
        """
        Metadata of the table.
        """
    @property
    def num_rows(self, /) -> int:
        """
        Number of rows.
        """
    def summaries(self, /) -> "list[dict[str, typing.Any]]":
        """
        Return what each job did, one entry per symbol.
        """

def built_in_sets() -> "list[dict[str, typing.Any]]":
    """
    Return every built-in set, as `describe_set` does.
    """

def decode_frame(data: "bytes", schema_hash: "str", feature_count: "int", /) -> "bytes":
    """
    Check the bytes of one frame and return them; `featureplane.decode_frame` makes a record of them.
    """

def describe_set(features: "str", /) -> "dict[str, typing.Any]":
    """
    Return id, schema hash and features of a set, as resolved.
    """

def extract(request: "dict[str, typing.Any]", progress: "collections.abc.Callable[[str, int, int, int], object] | None" = None, /) -> "RawTable":
    """
    Run one job per symbol and return the rows; with `out` in the request the rows are in that file.
    """

def families() -> "list[dict[str, typing.Any]]":
    """
    Return every column of every family.
    """
