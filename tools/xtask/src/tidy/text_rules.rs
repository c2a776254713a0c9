//! Rules on lines: width, the opening comment, marks that must not be committed.

use super::source::SourceFile;
use super::{Finding, finding};

const WIDTH_MAX: usize = 100;
const OPENING_LINES_MAX: usize = 12;

/// Every rule of this file on one source.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    check_opening(file, findings);
    for (index, line) in file.lines.iter().enumerate() {
        let width = line.chars().count();
        if width > WIDTH_MAX {
            findings.push(finding(
                file,
                index + 1,
                format!("line of {width} columns is above {WIDTH_MAX}; wrap it"),
            ));
        }
        if line.ends_with([' ', '\t']) {
            findings.push(finding(
                file,
                index + 1,
                "white space at the end of the line",
            ));
        }
    }
}

fn check_opening(file: &SourceFile, findings: &mut Vec<Finding>) {
    let opening = file
        .lines
        .iter()
        .take_while(|line| line.starts_with("//!"))
        .count();
    if opening == 0 {
        let text = "the file does not open with `//!`; say what it is and its step in the path";
        findings.push(finding(file, 1, text));
    } else if opening > OPENING_LINES_MAX {
        let text = format!("opening comment of {opening} lines is above {OPENING_LINES_MAX}");
        findings.push(finding(file, OPENING_LINES_MAX + 1, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&SourceFile::new("engine/src/x.rs", source), &mut findings);
        findings
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn a_good_file_gives_no_finding() {
        assert_eq!(texts("//! A file.\n\nfn f() {}\n"), Vec::<String>::new());
    }

    #[test]
    fn width_counts_characters_and_not_bytes() {
        let wide = format!("//! {}\n", "é".repeat(96));
        assert_eq!(texts(&wide), Vec::<String>::new());
        let wider = format!("//! {}\n", "é".repeat(97));
        assert!(texts(&wider)[0].contains(":1: line of 101 columns"));
    }

    #[test]
    fn a_missing_or_long_opening_is_found() {
        assert!(texts("fn f() {}\n")[0].contains("does not open"));
        assert!(texts(&"//! x\n".repeat(13))[0].contains(":13: opening comment of 13"));
    }
}
