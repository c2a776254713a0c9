//! The topics in a consumer's subscription: the only part of a member's metadata that the
//! coordinator reads. Written by clients, so every length is checked.

/// The topics, or `None` when the bytes are no subscription.
///
/// ```text
/// version i16 | topic count i32, each: length i16, name | what later versions add
/// ```
pub(super) fn topics(metadata: &[u8]) -> Option<Vec<&str>> {
    let (_, rest) = metadata.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    // A name takes two bytes at least.
    if count > rest.len() / 2 {
        return None;
    }
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, behind) = behind.split_at_checked(length)?;
        names.push(std::str::from_utf8(name).ok()?);
        rest = behind;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_found_and_cut_or_inflated_bytes_refused() {
        let bytes = [0, 1, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 0xff];
        assert_eq!(topics(&bytes), Some(vec!["a", "bc"]));
        for length in 0..13 {
            assert_eq!(topics(&bytes[..length]), None, "{length}");
        }
        let mut many = bytes;
        many[2] = 0x7f;
        assert_eq!(topics(&many), None);
        many[2] = 0xff;
        assert_eq!(topics(&many), None);
    }
}
