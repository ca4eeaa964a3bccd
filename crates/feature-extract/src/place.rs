//! A place in the input, and the proof that what stands before it is what a snapshot was made from.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use market_io::Place;
use market_model::{StateError, StateReader, StateWriter};

use crate::error::Error;

const DIGEST_BYTES: usize = 32;

/// An input file, as the metadata of the tables names it.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) digest: blake3::Hash,
}

/// A place, with the digest of the stored bytes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownPlace {
    pub(crate) place: Place,
    proof: [u8; DIGEST_BYTES],
}

impl KnownPlace {
    pub(crate) fn save(known: Option<&Self>, out: &mut StateWriter) {
        out.u64(known.is_some().into());
        let Some(Self { place: Place { input, stored, state }, proof }) = known else { return };
        [*input as u64, stored.start, stored.end].into_iter().for_each(|word| out.u64(word));
        out.blob(state);
        out.blob(proof);
    }

    pub(crate) fn load(from: &mut StateReader<'_>) -> Result<Option<Self>, StateError> {
        if !from.bool("place")? {
            return Ok(None);
        }
        let input = from.u64()?;
        let input = usize::try_from(input).map_err(|_| from.invalid("input", &input))?;
        let stored = from.u64()?..from.u64()?;
        let state = from.blob("place")?.to_vec();
        let proof = from.blob("proof of the place")?;
        let proof = proof.try_into().map_err(|_| from.invalid("proof of the place", &proof.len()));
        Ok(Some(Self { place: Place { input, stored, state }, proof: proof? }))
    }
}

/// Digests of what stands before places. The bytes of one file are read once for places that follow
/// each other.
pub(crate) struct Prover {
    inputs: Vec<Fingerprint>,
    /// Input and first byte of the bytes that were hashed.
    hashed: (usize, u64),
    end: u64,
    hasher: blake3::Hasher,
}

impl Prover {
    /// Over the input files in order, as they are hashed for the metadata.
    pub(crate) fn new(inputs: &[Fingerprint]) -> Self {
        let hasher = blake3::Hasher::new();
        Self { inputs: inputs.to_vec(), hashed: (0, 0), end: 0, hasher }
    }

    pub(crate) fn prove(&mut self, place: Place) -> Result<KnownPlace, Error> {
        let proof = self.digest(&place)?;
        Ok(KnownPlace { place, proof })
    }

    /// Why the input before the place is not the one that it was proven over.
    pub(crate) fn differs(&mut self, known: &KnownPlace) -> Result<Option<String>, Error> {
        let Some(input) = self.inputs.get(known.place.input) else {
            return Ok(Some(format!("it stands in input {}", known.place.input)));
        };
        let path = input.path.display().to_string();
        let same = self.digest(&known.place)? == known.proof;
        Ok((!same).then(|| format!("files up to it ({path}) are not those it was made from")))
    }

    fn digest(&mut self, place: &Place) -> Result<[u8; DIGEST_BYTES], Error> {
        let begin = (place.input, place.stored.start);
        if self.hashed != begin || self.end > place.stored.end || self.end < begin.1 {
            (self.hashed, self.end) = (begin, begin.1);
            self.hasher.reset();
        }
        let path = &self.inputs[place.input].path;
        let read = hash_range(path, [self.end, place.stored.end], &mut self.hasher);
        self.end += read.map_err(|source| Error::File { path: path.clone(), source })?;
        let mut whole = blake3::Hasher::new();
        for input in &self.inputs[..place.input] {
            whole.update(&input.bytes.to_le_bytes()).update(input.digest.as_bytes());
        }
        whole.update(&(self.end - begin.1).to_le_bytes());
        Ok(*whole.update(self.hasher.finalize().as_bytes()).finalize().as_bytes())
    }
}

/// Adds the bytes of a range of a file, as far as it goes, and says how many there were.
fn hash_range(
    path: &Path,
    [start, end]: [u64; 2],
    hasher: &mut blake3::Hasher,
) -> std::io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let before = hasher.count();
    hasher.update_reader(file.take(end.saturating_sub(start)))?;
    Ok(hasher.count() - before)
}
