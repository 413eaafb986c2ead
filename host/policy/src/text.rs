//! Text that came from a guest: what may be kept as it is, what must be cleaned.
//!
//! Owns the character rules. Names and sentences of a decision are refused when
//! they break them; log lines and error texts are cleaned, since they must be shown.

/// Whether a character could forge or garble a log line: controls and bidirectional overrides.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// The first character of a text that [`is_unprintable`].
#[must_use]
pub(crate) fn unprintable(text: &str) -> Option<char> {
    let plain = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if plain { None } else { text.chars().find(|&c| is_unprintable(c)) }
}

/// The first white space of a text.
#[must_use]
pub(crate) fn white_space(text: &str) -> Option<char> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    if plain { None } else { text.chars().find(|c| c.is_whitespace()) }
}

/// The text without unprintable characters, cut to `limit` bytes (and marked so).
#[must_use]
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in text.trim_end().chars() {
        if out.len() + c.len_utf8() > limit {
            out.push('…');
            return out;
        }
        out.push(if is_unprintable(c) { ' ' } else { c });
    }
    out
}

/// Lower-case words joined by single dashes, as codes of reasons and names of plugins are.
#[must_use]
pub(crate) fn is_kebab(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// One word in CamelCase, as codes of diagnostics are.
#[must_use]
pub(crate) fn is_camel(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_keeps_a_line_a_line() {
        assert_eq!(clean("a\nb\u{1b}[31m\u{202e}x\n", 100), "a b [31m x");
        assert_eq!(clean("ééé", 4), "éé…");
        assert_eq!(clean("", 4), "");
    }

    #[test]
    fn codes() {
        for (text, kebab, camel) in [
            ("primary-lost", true, false),
            ("PrimaryLost", false, true),
            ("a", true, false),
            ("", false, false),
            ("-a", false, false),
            ("a--b", false, false),
            ("9a", false, false),
            ("A b", false, false),
        ] {
            assert_eq!((is_kebab(text), is_camel(text)), (kebab, camel), "{text}");
        }
    }
}
