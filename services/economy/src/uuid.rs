//! UUIDs as RFC 9562 writes them: what names requests and payments.

/// The number of a UUID; `None` if the text is none.
pub(crate) fn parse(text: &str) -> Option<u128> {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    let fits = parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length)
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    fits.then(|| u128::from_str_radix(&parts.concat(), 16).ok()).flatten()
}

/// The UUID of a number.
pub(crate) fn show(number: u128) -> String {
    let text = format!("{number:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_read_in_its_one_form() {
        let number = 0x017F_22E2_79B0_7CC3_98C4_DC0C_0C07_398F;
        assert_eq!(parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), Some(number));
        assert_eq!(parse(&show(number)), Some(number));
        for wrong in [
            "",
            "017F22E279B07CC398C4DC0C0C07398F",
            "017F22E2-79B0-7CC3-98C4-DC0C0C07398",
            "+17F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
