//! Types and ranges of configuration values, and the one function that checks a value.

/// The type of a value, with its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// 32-bit number.
    Int {
        /// Smallest.
        min: i32,
        /// Largest.
        max: i32,
    },
    /// 64-bit number.
    Long {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// Floating point.
    Double {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A comma-separated list of these words.
    List(&'static [&'static str]),
    /// Any text.
    Text,
}

impl Eq for Kind {}

impl Kind {
    /// The type's code in DescribeConfigs responses.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::Choice(_) | Self::Text => 2,
            Self::Int { .. } => 3,
            Self::Long { .. } => 5,
            Self::Double { .. } => 6,
            Self::List(_) => 7,
        }
    }

    /// What is allowed, in words.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Int { min, max } => format!("a number from {min} to {max}"),
            Self::Long { min, max } => format!("a number from {min} to {max}"),
            Self::Double { min, max } if max >= 1e15 => format!("a number from {min} on"),
            Self::Double { min, max } => format!("a number from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List(words) => format!("a comma-separated list of {}", words.join(", ")),
            Self::Text => "any text".to_owned(),
        }
    }
}

/// Why a setting was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Neither Kafka nor Millrace has such a key.
    #[error("unknown {scope} config {key} (value {value:?}): neither Kafka nor Millrace has it")]
    Unknown {
        /// `broker` or `topic`.
        scope: &'static str,
        /// The key.
        key: String,
        /// The value given.
        value: String,
    },
    /// The value is not of the key's type or outside of its range.
    #[error("invalid value {value:?} for config {key}: expected {allowed}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A line of a properties file that is no assignment.
    #[error("{place}: {line:?} is not of the form key=value")]
    NotAnAssignment {
        /// File and line, or the option.
        place: String,
        /// The line.
        line: String,
    },
}

/// Checks `value` against `kind` and gives it back in its one canonical spelling.
///
/// # Errors
/// [`ConfigError::Invalid`] with key, value and what is allowed.
pub fn normalize(key: &'static str, kind: Kind, value: &str) -> Result<String, ConfigError> {
    let trimmed = value.trim();
    let canonical = match kind {
        Kind::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "true" => Some("true".to_owned()),
            "false" => Some("false".to_owned()),
            _ => None,
        },
        Kind::Int { min, max } => trimmed
            .parse::<i32>()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(|number| number.to_string()),
        Kind::Long { min, max } => trimmed
            .parse::<i64>()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(|number| number.to_string()),
        Kind::Double { min, max } => trimmed
            .parse::<f64>()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(|_| trimmed.to_owned()),
        Kind::Choice(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(trimmed))
            .map(|word| (*word).to_owned()),
        Kind::List(words) => list(words, trimmed),
        Kind::Text => (value.len() <= TEXT_BYTES_MAX).then(|| trimmed.to_owned()),
    };
    canonical.ok_or_else(|| ConfigError::Invalid {
        key,
        value: value.chars().take(100).collect(),
        allowed: kind.allowed(),
    })
}

/// Bound of a free text value.
const TEXT_BYTES_MAX: usize = 4096;

fn list(words: &[&str], value: &str) -> Option<String> {
    let mut seen: Vec<&str> = Vec::new();
    for item in value
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        let known = words.iter().find(|word| **word == item)?;
        if !seen.contains(known) {
            seen.push(known);
        }
    }
    Some(seen.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused_with_name_value_and_range() {
        let kind = Kind::Int { min: 1, max: 10 };
        assert_eq!(normalize("a.b", kind, " 7 "), Ok("7".to_owned()));
        let error = normalize("a.b", kind, "11").unwrap_err().to_string();
        for part in ["a.b", "11", "from 1 to 10"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(normalize("a.b", kind, "x").is_err());
        assert!(normalize("a.b", kind, "99999999999999999999").is_err());
    }

    #[test]
    fn lists_keep_each_known_word_once() {
        let kind = Kind::List(&["compact", "delete"]);
        assert_eq!(
            normalize("p", kind, "delete, compact,delete").as_deref(),
            Ok("delete,compact")
        );
        assert!(normalize("p", kind, "delete,shred").is_err());
    }

    #[test]
    fn doubles_that_are_no_number_are_refused() {
        let kind = Kind::Double { min: 0.0, max: 1.0 };
        assert!(normalize("r", kind, "NaN").is_err());
        assert_eq!(normalize("r", kind, "0.5").as_deref(), Ok("0.5"));
    }
}
