//! The development key: who has the file may make connect tokens, as a studio's own backend would.
//!
//! 64 hexadecimal digits and a newline. The file is made when it is missing, readable by its owner only.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use arbiter_transport::Key;
use arbiter_transport::token::{key_from_hex, key_to_hex};

/// A seed for a match that nobody chose one for. It fits into TOML's signed numbers, so that it can be typed back.
pub fn random_seed() -> Result<u64> {
    Ok(getrandom::u64().context("the system gives no random numbers for a seed")? >> 1)
}

/// Reads a key.
pub fn read_key(path: &Path) -> Result<Key> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the key {}; `arbiter server --key-file` makes one", path.display()))?;
    key_from_hex(&text).map_err(|error| anyhow!("{}:1: {error}", path.display()))
}

/// Reads a key, or makes it if there is no such file. The second value says whether it was made.
pub fn read_or_make_key(path: &Path) -> Result<(Key, bool)> {
    if path.exists() {
        return Ok((read_key(path)?, false));
    }
    let key = Key::generate()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| writeln!(file, "{}", key_to_hex(&key)))
        .with_context(|| format!("cannot write the key {}", path.display()))?;
    Ok((key, true))
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
        let (read, was_made) = read_or_make_key(&path).expect("read");
        assert!(!was_made && read.as_bytes() == made.as_bytes());
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
        assert!(error.ends_with("arbiter.key:1: a key is 64 hexadecimal digits, found 2 characters"), "{error}");
    }
}
