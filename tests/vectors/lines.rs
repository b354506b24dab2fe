//! How the tests read the vectors beside this file: lines of `hex | meaning`, `#` in front of what is said about them. Included
//! by path, so that several rooms read them alike and none depends on another.

#![allow(dead_code, reason = "not every test needs all of it")]

/// Marks a meaning whose bytes are allowed, but are not those that we write.
pub const READ_ONLY: &str = "read only:";

/// Lines of a file that say something.
pub fn lines(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Each line's bytes and what they mean.
pub fn vectors(file: &str) -> impl Iterator<Item = (Vec<u8>, &str)> {
    lines(file).map(|line| {
        let (hex, meaning) = line.split_once('|').expect("hex | meaning");
        (bytes(hex), meaning.trim())
    })
}

/// Bytes from hexadecimal digits; spaces between them mean nothing.
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("two digits");
    digits.chunks(2).map(byte).collect()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
