//! Rules on lines: width, the opening comment, marks that must not be committed, and tests that
//! would not be run or would wait for time to pass.

use super::source::SourceFile;
use super::words::has_word;
use super::{Finding, finding};

const WIDTH_MAX: usize = 100;
const OPENING_LINES_MAX: usize = 12;
/// In comments.
const MARKS: [&str; 2] = ["FIXME", "XXX"];
/// In code.
const UNFINISHED: [&str; 5] = [
    "todo!",
    "unimplemented!",
    "dbg!",
    "#[ignore",
    "#[should_panic]",
];

/// Every rule of this file on one source.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    check_opening(file, findings);
    check_marks(file, findings);
    if file.is_generated {
        return;
    }
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

fn check_marks(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (index, (code, comment)) in file.code.iter().zip(&file.comments).enumerate() {
        let marks = MARKS.iter().filter(|mark| has_word(comment, mark));
        let unfinished = UNFINISHED
            .iter()
            .filter(|fragment| code.contains(**fragment));
        for found in marks.chain(unfinished) {
            findings.push(finding(
                file,
                index + 1,
                format!("`{found}`; finish it first"),
            ));
        }
        if file.is_test[index] && code.contains("sleep(") {
            let text = "a test that sleeps; wait for what it waits for";
            findings.push(finding(file, index + 1, text));
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

    #[test]
    fn unfinished_work_is_found_in_code_and_marks_in_comments() {
        assert!(
            texts(
                "//! x
fn f() { todo!() }
"
            )[0]
            .contains("todo!")
        );
        assert!(
            texts(
                "//! x
// FIXME: later
"
            )[0]
            .contains("FIXME")
        );
        assert_eq!(
            texts(
                "//! x
const A: &str = \"FIXME todo!\";
"
            ),
            Vec::<String>::new()
        );
        assert!(
            texts(
                "//! x
#[cfg(test)]
mod t { fn a() { sleep(1) } }
"
            )[0]
            .contains(":3:")
        );
    }
}
