//! Numbers that name what may happen only once, and what was asked: the beginning of BLAKE3 over parts that cannot run together.

pub(crate) struct Digest(blake3::Hasher);

impl Digest {
    /// Of what the context says, and of nothing else.
    pub fn new(context: &'static str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    /// Adds a part with its length.
    pub fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        self
    }

    /// Adds a part whose length the context says.
    pub fn fixed(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.update(bytes.as_ref());
        self
    }

    pub fn number(&self) -> u128 {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        u128::from_le_bytes(bytes)
    }
}
