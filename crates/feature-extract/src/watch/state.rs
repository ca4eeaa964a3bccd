//! The committed state of a watch: two slots in turn, so that one is whole whatever is killed.

use std::path::{Path, PathBuf};

use market_io::sink::{AtomicFile, Existing};
use market_model::{StateReader, StateWriter};

use super::Watcher;
use super::config::Plan;
use super::stream::Stream;
use crate::error::Error;

const MARKER: u64 = u64::from_le_bytes(*b"FPWATCH1");
const DIGEST_BYTES: usize = 32;

/// Where states are, and what they must agree with.
pub(super) struct Slots {
    paths: [PathBuf; 2],
    canonical: String,
    /// Number of the last commit; 0 before the first.
    generation: u64,
}

impl Slots {
    pub(super) fn new(folder: &Path, canonical: &str) -> Self {
        let paths = ["state-0", "state-1"].map(|name| folder.join(name));
        Self { paths, canonical: canonical.into(), generation: 0 }
    }

    /// The newest state that is whole, as its number and content; `None` before the first commit.
    fn newest(&self) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let (mut newest, mut refused) = (None, Vec::new());
        for path in &self.paths {
            match std::fs::read(path) {
                Ok(bytes) => match opened(&bytes, &self.canonical) {
                    Ok((number, body))
                        if newest.as_ref().is_none_or(|(best, _)| number > *best) =>
                    {
                        newest = Some((number, body.to_vec()));
                    }
                    Ok(_) => {}
                    Err(reason) => refused.push((path, reason)),
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::File { path: path.clone(), source }),
            }
        }
        match (newest, refused.pop()) {
            (None, Some((path, reason))) => {
                Err(Error::Watch { path: path.clone(), message: reason.to_string() })
            }
            (newest, _) => Ok(newest),
        }
    }
}

/// Number and content of the bytes of a slot.
fn opened<'a>(bytes: &'a [u8], canonical: &str) -> Result<(u64, &'a [u8]), Error> {
    let body = bytes.len().saturating_sub(DIGEST_BYTES);
    let differs =
        |field, expected: String, found: String| Err(Error::State { field, expected, found });
    let digest = blake3::hash(&bytes[..body]);
    if bytes[body..] != *digest.as_bytes() {
        let found = format!("another ({} bytes)", bytes.len());
        return differs("checksum of the state", digest.to_hex().to_string(), found);
    }
    let mut from = StateReader::new(&bytes[..body]);
    let marker = from.u64()?;
    if marker != MARKER {
        let (want, found) = (format!("{MARKER:016x}"), format!("{marker:016x}"));
        return differs("marker of the state", want, found);
    }
    let found = from.blob("configuration")?;
    if found != canonical.as_bytes() {
        let found = String::from_utf8_lossy(found).into_owned();
        return differs("configuration of the state", canonical.into(), found);
    }
    Ok((from.u64()?, from.blob("content")?))
}

impl Watcher {
    /// Makes everything up to here permanent; parts were written before.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        let mut content = StateWriter::default();
        content.u64(self.is_finished.into());
        let summary = &self.summary;
        let counts = [summary.lines, summary.other_symbols, summary.unreadable];
        counts.into_iter().for_each(|count| content.u64(count));
        self.tail.save(&mut content);
        self.streams.values().for_each(|stream| stream.save(&mut content));
        let number = self.slots.generation + 1;
        let mut out = StateWriter::default();
        out.u64(MARKER);
        out.blob(self.slots.canonical.as_bytes());
        out.u64(number);
        out.blob(&content.into_bytes());
        let mut bytes = out.into_bytes();
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        let path = &self.slots.paths[usize::from(number % 2 == 1)];
        let mut file = AtomicFile::create(path, Existing::Replace)?;
        file.put(&bytes)?;
        file.seal()?.publish(0)?;
        self.slots.generation = number;
        self.uncommitted = 0;
        Ok(())
    }

    /// Continues from the newest state, or begins with an empty one.
    pub(super) fn restore(&mut self, plan: &Plan, out: &Path) -> Result<(), Error> {
        let Some((number, content)) = self.slots.newest()? else {
            refuse_foreign_parts(out)?;
            // From now on parts are ours, even if this run is killed before its next commit.
            return self.commit();
        };
        self.slots.generation = number;
        let mut from = StateReader::new(&content);
        if from.bool("end of the watch")? {
            let message = "this watch is finished; take another output folder".into();
            return Err(Error::Watch { path: out.into(), message });
        }
        let summary = &mut self.summary;
        [summary.lines, summary.other_symbols, summary.unreadable] =
            [from.u64()?, from.u64()?, from.u64()?];
        self.tail.load(&mut from)?;
        for instrument in &plan.instruments {
            let mut stream = Stream::new(plan, instrument, out)?;
            let key = stream.key();
            stream.load(&mut from)?;
            self.streams.insert(key, stream);
        }
        match from.remaining() {
            0 => Ok(()),
            left => Err(from.invalid("length of the state", &left).into()),
        }
    }
}

/// Parts without a state are those of somebody else.
fn refuse_foreign_parts(out: &Path) -> Result<(), Error> {
    match ["hf", "bars"].iter().map(|table| out.join(table)).find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => {
            let message = "there are parts and no state that says how far they go".into();
            Err(Error::Watch { path, message })
        }
    }
}
