//! The hash of a block in two parts: nearly all of it before the block before is known, and the last link when it is.
//!
//! BLAKE3 is a tree over chunks of 1,024 bytes, and only the first of them holds the chain of the block before. So every subtree
//! behind the first few chunks can be hashed on any thread while earlier blocks are still on their way, and what is left for a
//! block's turn takes the same few microseconds for any block. What comes out is BLAKE3 of all of it, as a reader finds it
//! (section 2.1 of the BLAKE3 paper says which subtrees there are).

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use crate::frame::Chain;

/// Bytes that are left for the end: as many chunks as the widest processors hash side by side, so that nothing is hashed slower
/// because it is hashed in parts.
const LINK_BYTES: usize = 16 * blake3::CHUNK_LEN;

/// Subtrees behind those bytes at most: each is as large as all before it together, up to the limit of a payload.
const SUBTREES_MAX: usize = 10;

const _: () = assert!(LINK_BYTES << SUBTREES_MAX > crate::frame::PAYLOAD_BYTES_MAX);

/// What is known of a hash whose first bytes are not known yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beforehand {
    /// Subtrees behind the first bytes, the largest first.
    behind: [ChainingValue; SUBTREES_MAX],
    subtrees: usize,
    /// How many bytes are left.
    first_bytes: usize,
}

impl Beforehand {
    /// Of bytes of which the first [`blake3::CHUNK_LEN`] may still change.
    pub fn of(bytes: &[u8]) -> Self {
        let mut found = Self { behind: [[0; 32]; SUBTREES_MAX], subtrees: 0, first_bytes: bytes.len() };
        while found.first_bytes > LINK_BYTES {
            let left = left_subtree_len(found.first_bytes as u64);
            let right = &bytes[left as usize..found.first_bytes];
            found.behind[found.subtrees] = Hasher::new().set_input_offset(left).update(right).finalize_non_root();
            found.subtrees += 1;
            found.first_bytes = left as usize;
        }
        found
    }

    /// BLAKE3 of all of it, now that the first bytes are what they are to be.
    pub fn finish(&self, bytes: &[u8]) -> Chain {
        let first = &bytes[..self.first_bytes];
        let Some((last, inner)) = self.behind[..self.subtrees].split_first() else {
            return *blake3::hash(first).as_bytes();
        };
        let leftmost = Hasher::new().update(first).finalize_non_root();
        let left = inner.iter().rev().fold(leftmost, |left, right| merge_subtrees_non_root(&left, right, Mode::Hash));
        *merge_subtrees_root(&left, last, Mode::Hash).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FRAME_BYTES, PAYLOAD_BYTES_MAX};

    #[test]
    fn a_hash_in_two_parts_is_the_hash_of_all_of_it_whatever_its_first_chunk_becomes() {
        let around = |bytes: usize| [bytes - 1, bytes, bytes + 1];
        let powers = (10..=20).flat_map(|power| around(1 << power));
        let odd = [0, 1, 88, 70_000, 71_832, 3 * LINK_BYTES + 5, 47 << 10, FRAME_BYTES + PAYLOAD_BYTES_MAX];
        for length in powers.chain(odd) {
            let mut bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let beforehand = Beforehand::of(&bytes);
            let first = bytes.len().min(blake3::CHUNK_LEN);
            bytes[..first].fill(0xA5);
            assert_eq!(beforehand.finish(&bytes), *blake3::hash(&bytes).as_bytes(), "{length} bytes");
        }
    }
}
