//! The development key: who has the file may make connect tokens, as a studio's own backend would.
//!
//! 64 hexadecimal digits and a newline. The file is made when it is missing, readable by its owner only.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// A key that connect tokens are sealed with.
pub type Key = [u8; 32];

/// A fresh key.
pub fn random_key() -> Result<Key> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("the system gives no random numbers for a key")?;
    Ok(key)
}

/// A seed for a match that nobody chose one for. It fits into TOML's signed numbers, so that it can be typed back.
pub fn random_seed() -> Result<u64> {
    Ok(getrandom::u64().context("the system gives no random numbers for a seed")? >> 1)
}

/// Reads a key.
pub fn read_key(path: &Path) -> Result<Key> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the key {}; `arbiter server --key-file` makes one", path.display()))?;
    let Some(key) = parse(text.trim()) else {
        bail!("{}:1: key: expected 64 hexadecimal digits, found {} characters", path.display(), text.trim().len());
    };
    Ok(key)
}

/// Reads a key, or makes it if there is no such file. The second value says whether it was made.
pub fn read_or_make_key(path: &Path) -> Result<(Key, bool)> {
    if path.exists() {
        return Ok((read_key(path)?, false));
    }
    let key = random_key()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    options
        .open(path)
        .and_then(|mut file| writeln!(file, "{text}"))
        .with_context(|| format!("cannot write the key {}", path.display()))?;
    Ok((key, true))
}

fn parse(text: &str) -> Option<Key> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(std::array::from_fn(|i| digits[i * 2] << 4 | digits[i * 2 + 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("new/arbiter.key");
        let (made, was_made) = read_or_make_key(&path).expect("made");
        assert!(was_made);
        assert_eq!(read_or_make_key(&path).expect("read"), (made, false));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_a_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("arbiter.key");
        read_or_make_key(&path).expect("made");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_names_its_file_and_what_belongs_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("arbiter.key");
        std::fs::write(&path, "zz\n").expect("written");
        let error = read_key(&path).expect_err("damaged").to_string();
        assert!(error.ends_with("arbiter.key:1: key: expected 64 hexadecimal digits, found 2 characters"), "{error}");
    }
}
