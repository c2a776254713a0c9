//! Which names a topic may have.

/// Longest topic name.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Why a name is refused, or `None` when it is legal.
#[must_use]
pub fn illegal_because(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("the topic name is empty");
    }
    if name == "." || name == ".." {
        return Some("the topic name is . or ..");
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return Some("the topic name is longer than 249 characters");
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !name.bytes().all(is_legal) {
        return Some("the topic name has characters other than a-z, A-Z, 0-9, '.', '_' and '-'");
    }
    None
}

/// Two names collide when they differ only in `.` against `_`: metrics cannot tell them apart.
#[must_use]
pub fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_like_empty_and_overlong_names_are_illegal() {
        let long = "a".repeat(250);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a b",
            "ä",
            "a\0",
            long.as_str(),
        ] {
            assert!(illegal_because(name).is_some(), "{name:?}");
        }
        for name in ["a", "a.b", "A_b-9", "...", &"a".repeat(249)] {
            assert!(illegal_because(name).is_none(), "{name:?}");
        }
        assert_eq!(collision_key("a.b_c"), collision_key("a_b.c"));
    }
}
