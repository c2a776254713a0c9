//! Reads settings from text: a properties file (`--config`) and single assignments (`--set`).

use super::value::ConfigError;

/// Splits the text of a properties file into keys and values, in order. `#` and `!` begin a
/// comment line, a backslash at the end of a line continues it, the first `=` or `:` separates.
///
/// # Errors
/// [`ConfigError::NotAnAssignment`] with the line.
pub fn parse(file: &str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut pairs = Vec::new();
    let mut logical = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if logical.is_empty() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        if let Some(continued) = line.strip_suffix('\\') {
            logical.push_str(continued);
            continue;
        }
        logical.push_str(line);
        let whole = std::mem::take(&mut logical);
        pairs.push(assignment(&format!("{file}:{}", index + 1), &whole)?);
    }
    if !logical.is_empty() {
        pairs.push(assignment(file, &logical)?);
    }
    Ok(pairs)
}

/// Splits one `key=value`.
///
/// # Errors
/// [`ConfigError::NotAnAssignment`] with `place`.
pub fn assignment(place: &str, text: &str) -> Result<(String, String), ConfigError> {
    let split = text.find(['=', ':']).filter(|at| *at > 0);
    let Some(at) = split else {
        return Err(ConfigError::NotAnAssignment {
            place: place.to_owned(),
            line: text.chars().take(100).collect(),
        });
    };
    let (key, value) = text.split_at(at);
    Ok((key.trim().to_owned(), value[1..].trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blank_lines_and_continuations_are_understood() {
        let text =
            "# a comment\n\n num.partitions = 4\nlog.cleanup.policy=\\\n  compact\n! x\na: b";
        let pairs = parse("f", text).unwrap();
        let expected = [
            ("num.partitions", "4"),
            ("log.cleanup.policy", "compact"),
            ("a", "b"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn a_line_without_a_separator_is_refused_with_its_place() {
        let error = parse("server.properties", "a=1\nnonsense").unwrap_err();
        assert!(error.to_string().starts_with("server.properties:2:"));
    }
}
