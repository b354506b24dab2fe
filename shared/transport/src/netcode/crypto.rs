//! Keys and the two authenticated ciphers of netcode 1.02.
//!
//! Packets and challenge tokens: ChaCha20-Poly1305 (RFC 8439) by ring, whose assembly is the fastest at 200 B. The private
//! part of a connect token: XChaCha20-Poly1305, which ring does not have, by RustCrypto; it is only opened in a handshake.

use core::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use thiserror::Error;
use zeroize::Zeroize;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Bytes that authenticate a packet or a token.
pub const TAG_BYTES: usize = 16;

/// Bytes of the nonce of a connect token.
pub const TOKEN_NONCE_BYTES: usize = 24;

/// The system would give no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gives no random bytes: keys cannot be made; check that /dev/urandom or its like can be read")]
pub struct NoRandomness;

/// A secret of 32 bytes, overwritten when it is dropped.
///
/// ring keeps its keys in 544 bytes that it does not clear. So a key rests here, and ring's form of it lives on the stack
/// for one packet: that costs about 30 ns and keeps 4,000 clients' keys within a processor's second cache.
#[derive(Clone)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// From 32 bytes. The caller's copy is the caller's to clear.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// A new one from the system's randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut key = Self([0; KEY_BYTES]);
        random(&mut key.0)?;
        Ok(key)
    }

    /// Its bytes, for a key file or a token.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// What stands where there is no key.
    pub(crate) const fn zero() -> Self {
        Self([0; KEY_BYTES])
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key must not reach a log.
        f.write_str("Key(..)")
    }
}

/// Fills a buffer from the system's randomness.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

fn ring_key(key: &Key) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, &key.0).ok().map(LessSafeKey::new)
}

/// Four zero bytes, then the sequence in little-endian order.
fn nonce(sequence: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&sequence.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seals all but the last [`TAG_BYTES`] of a buffer in place and writes the tag there. False if the buffer is shorter than
/// a tag.
///
/// A key must never see the same `sequence` twice.
#[must_use]
pub(crate) fn seal(key: &Key, sequence: u64, associated: &[u8], buffer: &mut [u8]) -> bool {
    let Some((text, tag)) = buffer.split_last_chunk_mut::<TAG_BYTES>() else { return false };
    let Some(key) = ring_key(key) else { return false };
    match key.seal_in_place_separate_tag(nonce(sequence), Aad::from(associated), text) {
        Ok(sealed) => {
            tag.copy_from_slice(sealed.as_ref());
            true
        }
        Err(_) => false,
    }
}

/// Opens a buffer that ends in a tag, in place. `None`, and a buffer of no use, if it is not authentic.
pub(crate) fn open<'a>(key: &Key, sequence: u64, associated: &[u8], buffer: &'a mut [u8]) -> Option<&'a mut [u8]> {
    ring_key(key)?.open_in_place(nonce(sequence), Aad::from(associated), buffer).ok()
}

/// [`seal`] with a long nonce, for connect tokens.
#[must_use]
pub(crate) fn seal_token(key: &Key, nonce: &[u8; TOKEN_NONCE_BYTES], associated: &[u8], buffer: &mut [u8]) -> bool {
    let Some((text, tag)) = buffer.split_last_chunk_mut::<TAG_BYTES>() else { return false };
    let cipher = XChaCha20Poly1305::new((&key.0).into());
    match cipher.encrypt_inout_detached(nonce.into(), associated, text.into()) {
        Ok(sealed) => {
            tag.copy_from_slice(&sealed);
            true
        }
        Err(_) => false,
    }
}

/// Opens what [`seal_token`] sealed; the tag stays behind the text. False if it is not authentic.
#[must_use]
pub(crate) fn open_token(key: &Key, nonce: &[u8; TOKEN_NONCE_BYTES], associated: &[u8], buffer: &mut [u8]) -> bool {
    let Some((text, tag)) = buffer.split_last_chunk_mut::<TAG_BYTES>() else { return false };
    let tag: &[u8; TAG_BYTES] = tag;
    let cipher = XChaCha20Poly1305::new((&key.0).into());
    cipher.decrypt_inout_detached(nonce.into(), associated, text.into(), tag.into()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_the_same_key_sequence_and_associated_data_only() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let mut sealed = [7; 40];
        assert!(seal(&key, 9, b"data", &mut sealed));
        assert_eq!(open(&key, 9, b"data", &mut sealed.clone()).map(|text| text.to_vec()), Some(vec![7; 24]));
        assert!(open(&other, 9, b"data", &mut sealed.clone()).is_none());
        assert!(open(&key, 8, b"data", &mut sealed.clone()).is_none());
        assert!(open(&key, 9, b"date", &mut sealed.clone()).is_none());
        assert!(open(&key, 9, b"data", &mut sealed[..15]).is_none());
    }

    #[test]
    fn a_token_opens_with_its_own_nonce_only() {
        let key = Key::generate().unwrap();
        let mut sealed = [7; 40];
        assert!(seal_token(&key, &[1; 24], b"data", &mut sealed));
        assert!(!open_token(&key, &[2; 24], b"data", &mut sealed.clone()));
        assert!(open_token(&key, &[1; 24], b"data", &mut sealed));
        assert_eq!(sealed[..24], [7; 24]);
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", Key::from_bytes([1; 32])), "Key(..)");
    }
}
