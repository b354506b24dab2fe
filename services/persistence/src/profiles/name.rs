//! What a display name may be. Whether it is polite is not decided here.

use thiserror::Error;

/// Characters of a name at most: what fits a scoreboard.
pub const CHARS_MAX: usize = 32;

/// Bytes of a name at most, since one character may carry many marks.
pub const BYTES_MAX: usize = 96;

/// A name that is shown to others: 1 to 32 characters, up to 96 bytes of UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl std::fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It is personal: no log line may have it.
        f.write_str("DisplayName(..)")
    }
}

/// Why a text is no display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoName {
    /// Its length.
    #[error("display_name must have 1 to {CHARS_MAX} characters and at most {BYTES_MAX} bytes")]
    Length,
    /// Spaces at its ends would make two names look the same.
    #[error("display_name must not begin or end with a space")]
    Space,
    /// Characters that nobody sees, or that turn the text around them.
    #[error("display_name must not contain control characters or invisible ones")]
    Invisible,
}

impl DisplayName {
    /// Checks a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, NoName> {
        if text.is_empty() || text.len() > BYTES_MAX || text.chars().count() > CHARS_MAX {
            return Err(NoName::Length);
        }
        if text.trim() != text {
            return Err(NoName::Space);
        }
        if text.chars().any(is_invisible) {
            return Err(NoName::Invisible);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, separators of lines, and the format characters of Unicode that hide or turn text (chapter 23).
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_names() {
        for name in ["Ada", "Zoë van der Vér", "名前", "x", &"a".repeat(32)] {
            assert_eq!(DisplayName::new(name).map(|name| name.as_str().to_owned()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_seen_or_is_too_long_is_no_name() {
        let cases = [
            ("", NoName::Length),
            (&*"a".repeat(33), NoName::Length),
            (&*"名".repeat(33), NoName::Length),
            (" Ada", NoName::Space),
            ("A\u{0}da", NoName::Invisible),
            ("A\nda", NoName::Invisible),
            ("\u{202E}adA", NoName::Invisible),
            ("A\u{200B}da", NoName::Invisible),
        ];
        for (text, wrong) in cases {
            assert_eq!(DisplayName::new(text), Err(wrong), "{text:?}");
        }
    }
}
