//! Dropping old segments, whole ones only, and what is left of them: a signed root each, which says how far the log reached,
//! and with which chain. Whoever kept a copy of a dropped segment can still prove that it was part of this log.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::catalogue::{Segment, damaged};
use crate::cursor;
use crate::disk::{self, Disk};
use crate::error::{Fault, OpenError};
use crate::frame::{Chain, array, long, word};
use crate::keys::DrawError;
use crate::log::Log;

pub(crate) const FILE: &str = "roots";
const MAGIC: [u8; 8] = *b"\x93ARBROT\n";
const SIGNED_BYTES: usize = 16 + 8 * 4 + 32 + 32;
const ROOT_BYTES: usize = SIGNED_BYTES + 64;

/// Roots that are kept; each covers those before it, so that dropping the oldest loses only where they ended.
pub const ROOTS_MAX: usize = 4096;

/// Signs roots.
#[derive(Debug)]
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// From 32 random bytes that are kept secret; `None` if they cannot be a key.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// What signatures are checked with.
    pub fn public_key(&self) -> [u8; 32] {
        array(self.0.public_key().as_ref(), 0)
    }
}

/// What is left of a dropped segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The log's.
    pub log_id: [u8; 16],
    /// Position of the segment's first record.
    pub first: u64,
    /// Position behind its last record.
    pub end: u64,
    /// Number of its first block.
    pub first_block: u64,
    /// Number behind its last block.
    pub end_block: u64,
    /// Chain through its last block.
    pub chain: Chain,
    /// Whose signature this is.
    pub public_key: [u8; 32],
    /// Ed25519 over all the above.
    pub signature: [u8; 64],
}

impl Root {
    fn signed(&self) -> [u8; SIGNED_BYTES] {
        let mut out = [0; SIGNED_BYTES];
        out[..16].copy_from_slice(&self.log_id);
        for (index, number) in [self.first, self.end, self.first_block, self.end_block].into_iter().enumerate() {
            out[16 + index * 8..24 + index * 8].copy_from_slice(&number.to_le_bytes());
        }
        out[48..80].copy_from_slice(&self.chain);
        out[80..].copy_from_slice(&self.public_key);
        out
    }

    fn message(&self) -> Vec<u8> {
        let mut message = b"arbiter eventlog 1 root".to_vec();
        message.extend_from_slice(&self.signed());
        message
    }

    fn sign(&mut self, signer: &Signer) {
        self.public_key = signer.public_key();
        let message = self.message();
        self.signature = array(signer.0.sign(&message).as_ref(), 0);
    }

    /// Whether the signature is that of the key in it. Whose key that is, is for the reader to know.
    pub fn is_signed(&self) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key).verify(&self.message(), &self.signature).is_ok()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            log_id: array(bytes, 0),
            first: long(bytes, 16),
            end: long(bytes, 24),
            first_block: long(bytes, 32),
            end_block: long(bytes, 40),
            chain: array(bytes, 48),
            public_key: array(bytes, 80),
            signature: array(bytes, SIGNED_BYTES),
        }
    }
}

/// All roots of a log, the oldest first.
pub fn read<D: Disk>(disk: &D) -> Result<Vec<Root>, OpenError> {
    let bytes = match disk::read_all(disk, FILE, (12 + ROOTS_MAX * ROOT_BYTES + 4) as u64) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let body = bytes.len().saturating_sub(4);
    let whole = bytes.len() >= 16
        && bytes[..8] == MAGIC
        && word(&bytes, body) == crc32fast::hash(&bytes[..body])
        && word(&bytes, 8) as usize * ROOT_BYTES == body - 12;
    let roots: Vec<Root> =
        if whole { bytes[12..body].chunks_exact(ROOT_BYTES).map(Root::from_bytes).collect() } else { Vec::new() };
    if !whole || roots.iter().any(|root| !root.is_signed()) {
        return Err(damaged(FILE, 0, None, 0, Fault::Side));
    }
    Ok(roots)
}

fn write<D: Disk>(disk: &D, roots: &[Root]) -> std::io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(roots.len() as u32).to_le_bytes());
    for root in roots {
        bytes.extend_from_slice(&root.signed());
        bytes.extend_from_slice(&root.signature);
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    disk::replace(disk, FILE, &bytes)
}

/// Whether the segments begin where the dropped ones ended.
pub(crate) fn check<D: Disk>(disk: &D, segments: &[Segment]) -> Result<(), OpenError> {
    let Some(first) = segments.first() else { return Ok(()) };
    let header = first.header;
    let missing = || damaged(&first.name, 0, Some(header.first_block), header.first, Fault::Missing);
    let roots = read(disk)?;
    let Some(last) = roots.last() else {
        return if header.first_block == 0 { Ok(()) } else { Err(missing()) };
    };
    // A crash may have left segments that are signed away already; then one of those behind must begin at the root.
    let next = segments.iter().find(|segment| segment.header.first_block == last.end_block).ok_or_else(missing)?;
    let fits = next.header.before == last.chain && next.header.first == last.end && next.header.log_id == last.log_id;
    let begins =
        roots.iter().any(|root| root.first_block == header.first_block) || header.first_block == last.end_block;
    match (fits, begins) {
        (true, true) => Ok(()),
        (false, _) => Err(damaged(&next.name, 0, Some(last.end_block), last.end, Fault::Chain)),
        (true, false) => Err(missing()),
    }
}

impl<D: Disk> Log<D> {
    /// Drops the segments that end at or before a position, but none that a cursor still needs, and not the last one; what
    /// they were sealed with is forgotten, and so are their ids. Returns the roots that are left of them.
    pub fn retain_from(&mut self, position: u64, signer: &Signer) -> Result<Vec<Root>, OpenError> {
        let needed = cursor::all(&self.disk)?.into_iter().map(|(_, at)| at).min().unwrap_or(u64::MAX).min(position);
        let segments = &self.catalogue.segments;
        let dropped = segments.windows(2).take_while(|pair| pair[1].header.first <= needed).count();
        let mut left = Vec::new();
        for pair in segments[..=dropped].windows(2) {
            let (old, next) = (pair[0].header, pair[1].header);
            let mut root = Root {
                log_id: old.log_id,
                first: old.first,
                end: next.first,
                first_block: old.first_block,
                end_block: next.first_block,
                chain: next.before,
                public_key: [0; 32],
                signature: [0; 64],
            };
            root.sign(signer);
            left.push(root);
        }
        if left.is_empty() {
            return Ok(left);
        }
        let mut roots = read(&self.disk)?;
        roots.retain(|root| root.end_block <= left[0].first_block);
        roots.extend_from_slice(&left);
        write(&self.disk, &roots[roots.len().saturating_sub(ROOTS_MAX)..])?;
        // What was removed when this fails is found out by opening the log anew.
        self.drop_segments(dropped).inspect_err(|_| self.failed = true)?;
        Ok(left)
    }

    fn drop_segments(&mut self, dropped: usize) -> Result<(), OpenError> {
        // The oldest first, each with its name's end on disk before the next: a gap must never be left by a crash.
        for segment in &self.catalogue.segments[..dropped] {
            self.disk.remove(&segment.name)?;
            self.disk.sync_folder()?;
        }
        self.catalogue.forget_first(dropped);
        let first = self.catalogue.segments[0].header;
        self.ids.forget_before(first.first);
        self.keys.forget_before(first.key_epoch);
        self.keys.write(&self.disk).map_err(|error| match error {
            DrawError::Io(error) => OpenError::Io(error),
            DrawError::NoRandomness => OpenError::NoRandomness,
        })
    }
}
