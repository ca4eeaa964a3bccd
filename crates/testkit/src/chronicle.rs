//! Segments of a Chronicle queue, for tests of the reader (`specs/inputs/chronicle.md`).

/// Units of a segment: its header, the header of a record, and where records start.
const UNIT: usize = 64;

/// Type of a record with a book event.
pub const BOOK_EVENT: u16 = 0x1000;
/// Type of a record with a trade.
pub const TRADE: u16 = 0x1002;

/// Builds one segment in memory.
#[derive(Debug, Clone)]
pub struct SegmentWriter {
    bytes: Vec<u8>,
    end: usize,
}

impl SegmentWriter {
    /// A segment of `size` bytes, all zeros behind its header.
    ///
    /// # Panics
    ///
    /// Panics when the size is below 128.
    #[must_use]
    pub fn new(id: u32, size: usize) -> Self {
        assert!(size >= 2 * UNIT, "a segment has at least 128 bytes");
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(b"0GES");
        bytes[4..8].copy_from_slice(&2_u32.to_le_bytes());
        bytes[8..12].copy_from_slice(&id.to_le_bytes());
        Self { bytes, end: UNIT }
    }

    /// Appends a record; time in ns.
    ///
    /// # Panics
    ///
    /// Panics when the record does not fit.
    pub fn record(&mut self, seq: u64, timestamp_ns: u64, type_id: u16, payload: &[u8]) {
        let len = u32::try_from(payload.len()).expect("a payload has fewer than 2^32 bytes");
        let record = &mut self.bytes[self.end..self.end + UNIT + payload.len()];
        record[..4].copy_from_slice(&(len + 1).to_le_bytes());
        record[4] = 1;
        record[8..16].copy_from_slice(&seq.to_le_bytes());
        record[16..24].copy_from_slice(&timestamp_ns.to_le_bytes());
        record[24..26].copy_from_slice(&type_id.to_le_bytes());
        record[28..32].copy_from_slice(&crc32(payload).to_le_bytes());
        record[UNIT..].copy_from_slice(payload);
        self.end = (self.end + UNIT + payload.len()).next_multiple_of(UNIT);
    }

    /// Marks the rest as padding and the segment as sealed, as the repair of a queue does.
    ///
    /// # Panics
    ///
    /// Panics when the segment has no rest.
    pub fn pad_and_seal(&mut self) {
        let rest = u32::try_from(self.bytes.len() - self.end - UNIT).expect("segments are small");
        self.bytes[self.end..self.end + 4].copy_from_slice(&(rest + 1).to_le_bytes());
        self.bytes[self.end + 4] = 1;
        self.bytes[self.end + 24..self.end + 26].copy_from_slice(&[0xff; 2]);
        self.bytes[12] |= 1;
    }

    /// The bytes of the segment.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// An archive of a segment and its seek index: one frame, made by `pack`, for each block of so many bytes.
///
/// # Panics
///
/// Panics when a block or a frame has 2^32 bytes or more.
#[must_use]
pub fn archive(
    segment: &[u8],
    block_bytes: usize,
    pack: impl Fn(&[u8]) -> Vec<u8>,
) -> [Vec<u8>; 2] {
    let narrow = |len: usize| u32::try_from(len).expect("a block has fewer than 2^32 bytes");
    let blocks = segment.chunks(block_bytes);
    let mut index = b"QZSTIDX1\x01\x00\x18\x00".to_vec();
    index.extend(narrow(block_bytes).to_le_bytes());
    index.extend((blocks.len() as u64).to_le_bytes());
    let (mut frames, mut at) = (Vec::new(), 0_u64);
    for block in blocks {
        let frame = pack(block);
        index.extend(at.to_le_bytes());
        index.extend((frames.len() as u64).to_le_bytes());
        index.extend(narrow(frame.len()).to_le_bytes());
        index.extend(narrow(block.len()).to_le_bytes());
        at += block.len() as u64;
        frames.extend(frame);
    }
    [frames, index]
}

/// What all book events have.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventHead {
    /// Venue and market.
    pub market: (u16, u32),
    /// Local time, UTC ns.
    pub ingest_ns: u64,
    /// Exchange time, UTC ns.
    pub exchange_ns: u64,
    /// Number of the event.
    pub seq: u64,
    /// Number of the venue.
    pub native_seq: u64,
}

/// Levels of a book event: decimals of prices and sizes, bids and asks as `(price, size)`.
#[derive(Debug, Clone, Copy)]
pub struct EventLevels<'a> {
    /// Decimals of prices and of sizes.
    pub scales: [u8; 2],
    /// Bids.
    pub bids: &'a [(u64, u64)],
    /// Asks.
    pub asks: &'a [(u64, u64)],
}

impl EventLevels<'_> {
    fn push(&self, body: &mut Vec<u8>) {
        for (price, size) in self.bids.iter().chain(self.asks) {
            body.extend(price.to_le_bytes());
            body.extend(size.to_le_bytes());
        }
    }
}

impl EventHead {
    /// A state of the book.
    #[must_use]
    pub fn snapshot(&self, levels: &EventLevels<'_>) -> Vec<u8> {
        let mut body = vec![levels.scales[0], levels.scales[1], 0, 0];
        body.extend((levels.bids.len() as u32).to_le_bytes());
        body.extend((levels.asks.len() as u32).to_le_bytes());
        levels.push(&mut body);
        self.event(1, 0, &body)
    }

    /// A change of the book, with the first, last and previous update id.
    #[must_use]
    pub fn diff(&self, ids: [u64; 3], levels: &EventLevels<'_>) -> Vec<u8> {
        let mut body: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        body.extend([levels.scales[0], levels.scales[1], 0, 0]);
        body.extend((levels.bids.len() as u16).to_le_bytes());
        body.extend((levels.asks.len() as u16).to_le_bytes());
        levels.push(&mut body);
        self.event(2, 0, &body)
    }

    /// An event of any type (1 snapshot, 2 change, 3 reset, 4 heartbeat) and book mode.
    #[must_use]
    pub fn event(&self, event_type: u8, book_mode: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![0; UNIT];
        out[0] = 3;
        out[4..8].copy_from_slice(&((UNIT + body.len()) as u32).to_le_bytes());
        out[10..12].copy_from_slice(&self.market.0.to_le_bytes());
        out[12..16].copy_from_slice(&self.market.1.to_le_bytes());
        out[24..32].copy_from_slice(&self.ingest_ns.to_le_bytes());
        out[32..40].copy_from_slice(&self.exchange_ns.to_le_bytes());
        out[40..48].copy_from_slice(&self.seq.to_le_bytes());
        out[48..56].copy_from_slice(&self.native_seq.to_le_bytes());
        out[56] = event_type;
        out[57] = book_mode;
        out[58] = 1;
        out.extend(body);
        out
    }
}

/// An event of one order, as a body of book mode 1 has it; numbers are 0 where it says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrderRecord {
    /// 1 add, 2 cancel, 3 change, 4 trade, 5 reset, 6 heartbeat.
    pub kind: u8,
    /// 1 buy, 2 sell.
    pub side: u8,
    /// 1 without a price, 2 opening auction, 4 closing auction.
    pub flags: u32,
    /// Id of the order.
    pub order_id: u64,
    /// Ids of the buying and of the selling order of a trade.
    pub pair: [u64; 2],
    /// Price, with 3 decimals.
    pub price: u64,
    /// Shares.
    pub size: u64,
}

impl EventHead {
    /// An event of one order.
    #[must_use]
    pub fn order(&self, order: &OrderRecord) -> Vec<u8> {
        let mut body = vec![order.kind, order.side, 0, 0, 3, 0, 0, 0];
        body.extend(order.flags.to_le_bytes());
        body.extend([0; 4]);
        let [buy, sell] = order.pair;
        for word in [order.order_id, buy, sell, order.price, order.size, 0] {
            body.extend(word.to_le_bytes());
        }
        self.event(2, 1, &body)
    }
}

/// A trade of the symbol with a hash; time in ns.
#[must_use]
pub fn trade(ts_ns: u64, price: f64, qty: f64, is_buyer_maker: u8, symbol_hash: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(UNIT);
    for word in [ts_ns, price.to_bits(), qty.to_bits(), 1, 2, 3] {
        out.extend(word.to_le_bytes());
    }
    out.extend([is_buyer_maker, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(symbol_hash.to_le_bytes());
    out
}

/// CRC-32 of IEEE 802.3, bit by bit.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Bytes of a segment that chronicle-rs itself wrote.
    #[test]
    fn the_writer_makes_the_bytes_of_the_original() {
        let head = EventHead {
            market: (7, 11),
            ingest_ns: 1_700_000_000_000_000_005,
            exchange_ns: 1_700_000_000_000_000_000,
            seq: 0,
            native_seq: 100,
        };
        let levels = EventLevels {
            scales: [2, 3],
            bids: &[(10_000, 1_500), (9_999, 2_000)],
            asks: &[(10_001, 1_200), (10_002, 900)],
        };
        let payload = head.snapshot(&levels);
        let mut segment = SegmentWriter::new(0, 16 << 10);
        segment.record(0, head.ingest_ns, BOOK_EVENT, &payload);
        segment.bytes[12] = 1;
        let bytes = segment.into_bytes();
        let zeros = |count: usize| "00".repeat(count);
        assert_eq!(hex(&bytes[..64]), format!("30474553020000000000000001000000{}", zeros(48)));
        assert_eq!(
            hex(&bytes[64..128]),
            format!("8d00000001000000{}05002a36fe9c97170010000023dbcb1a{}", zeros(8), zeros(32))
        );
        assert_eq!(
            hex(&bytes[128..192]),
            "030000008c000000000007000b0000000000000000000000\
             05002a36fe9c971700002a36fe9c97170000000000000000\
             64000000000000000100010000000000"
        );
        assert_eq!(
            hex(&bytes[192..220]),
            "0203000002000000020000001027000000000000dc05000000000000"
        );
        assert_eq!(crc32(b"hello"), 0x3610_a686);
        let [frames, index] = archive(&bytes, 4_096, <[u8]>::to_vec);
        assert_eq!(frames, bytes);
        assert_eq!(
            hex(&index[..24]),
            "515a5354494458310100180000100000\
                                       0400000000000000"
                .replace(' ', "")
        );
        assert_eq!(index.len(), 24 + 4 * 24);
    }
}
