//! Words in code: finding identifiers, cutting them into their parts, and the parts that
//! `docs/vocabulary.md` has a better word for.

use super::source::SourceFile;
use super::{Finding, finding};

/// Part of a name, and what to call it instead.
const MISFITS: [(&str, &str); 15] = [
    ("lso", "last_stable or log_start"),
    ("manager", "the role"),
    ("mgr", "the role"),
    ("ntp", "topic_partition or handle"),
    ("pid", "producer_id or process_id"),
    ("topition", "topic_partition"),
    ("seqno", "sequence"),
    ("util", "what it is about"),
    ("utils", "what it is about"),
    ("helper", "what it does"),
    ("helpers", "what they do"),
    ("impl", "the role"),
    ("v2", "the difference"),
    ("purgatory", "waiters"),
    ("impls", "the roles"),
];
/// Names that hold a misfit and are given from outside (`v2` is a state word of SipHash).
const FOREIGN: [&str; 4] = ["impl", "Pid", "flush_messages", "v2"];
/// Where a record must be called a record.
const RECORD_FOLDERS: [&str; 4] = [
    "engine/src/journal/",
    "engine/src/partition/",
    "engine/src/record_batch/",
    "engine/src/segment/",
];

/// Every rule of this file on one source.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if file.is_generated {
        return;
    }
    let is_about_records = RECORD_FOLDERS
        .iter()
        .any(|folder| file.path.starts_with(folder));
    for (index, code) in file.code.iter().enumerate() {
        for name in identifiers(code).filter(|name| !FOREIGN.contains(name)) {
            for part in parts(name) {
                if let Some((_, instead)) = MISFITS.iter().find(|(misfit, _)| *misfit == part) {
                    let text = format!("`{name}` says `{part}`; say {instead}");
                    findings.push(finding(file, index + 1, text));
                }
                if is_about_records && (part == "message" || part == "messages") {
                    let text = format!("`{name}` says `{part}`; say record");
                    findings.push(finding(file, index + 1, text));
                }
            }
        }
    }
}

/// Whether `word` occurs in `text` as a whole identifier.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    identifiers(text).any(|name| name == word)
}

/// The identifiers and keywords of a line of code.
pub(super) fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|name| !name.is_empty())
}

/// `logEndOffset` and `log_end_offset` both are log, end, offset.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_lower_before = false;
    for character in name.chars() {
        let is_break = character == '_' || (character.is_uppercase() && is_lower_before);
        if is_break {
            parts.push(String::new());
        }
        if character != '_'
            && let Some(part) = parts.last_mut()
        {
            part.extend(character.to_lowercase());
        }
        is_lower_before = character.is_lowercase() || character.is_ascii_digit();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, source: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&SourceFile::new(path, source), &mut findings);
        findings.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn names_are_cut_at_underscores_and_capitals() {
        assert_eq!(parts("log_endOffset"), ["log", "end", "offset"]);
        assert_eq!(parts("FetchV2"), ["fetch", "v2"]);
        assert_eq!(parts("MAX_PID"), ["max", "pid"]);
    }

    #[test]
    fn misfits_are_found_in_names_and_not_in_comments_or_keywords() {
        assert_eq!(
            texts(
                "a.rs",
                "struct FileManager; // a manager\nimpl FileTable {}"
            )
            .len(),
            1
        );
        assert_eq!(texts("a.rs", "let stupid = rapid; let pid = 1;").len(), 1);
        assert_eq!(
            texts("a.rs", "fn read_impl() {}"),
            ["`read_impl` says `impl`; say the role"]
        );
    }

    #[test]
    fn records_are_called_records_where_the_log_is() {
        assert_eq!(
            texts("engine/src/partition/a.rs", "let message_count = 1;").len(),
            1
        );
        assert_eq!(
            texts("engine/src/partition/a.rs", "config.flush_messages").len(),
            0
        );
        assert_eq!(texts("server/src/a.rs", "let message = 1;").len(), 0);
    }
}
