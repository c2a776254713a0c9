//! Rules on size: a file that grows past its bound is split by responsibility, and a function past
//! its bound into named steps. Tests and generated files do not count.

use super::source::{SourceFile, block_end};
use super::words::has_word;
use super::{Finding, finding};

/// Above this a file gets a remark.
pub(super) const FILE_LINES_WARNED: usize = 400;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Lines of a file that are neither tests nor generated.
pub(super) fn shipped_lines(file: &SourceFile) -> usize {
    if file.is_generated {
        0
    } else {
        file.shipped_code().count()
    }
}

/// Every rule of this file on one source.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    let lines = shipped_lines(file);
    if lines > FILE_LINES_MAX {
        let text = format!("file of {lines} lines is above {FILE_LINES_MAX}; split it");
        findings.push(finding(file, 1, text));
    }
    if file.is_generated {
        return;
    }
    for (line, code) in file.shipped_code() {
        if !begins_function(code) {
            continue;
        }
        let lines = block_end(&file.code, line - 1) + 2 - line;
        if lines > FUNCTION_LINES_MAX {
            let text =
                format!("function of {lines} lines is above {FUNCTION_LINES_MAX}; name its steps");
            findings.push(finding(file, line, text));
        }
    }
}

fn begins_function(code: &str) -> bool {
    let head = code.split('(').next().unwrap_or_default();
    let is_item = head.split_whitespace().next().is_some_and(|first| {
        first.starts_with("pub") || ["fn", "const", "async", "unsafe", "extern"].contains(&first)
    });
    is_item && has_word(head, "fn") && !head.contains('=')
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
    fn long_functions_are_found_at_their_first_line() {
        let body = |lines: usize| "    a();\n".repeat(lines - 2);
        let fits = format!(
            "//! x\npub(crate) fn f(\n{}}}\n",
            body(70).replacen("a();", ") {", 1)
        );
        assert_eq!(texts(&fits), Vec::<String>::new());
        let long = format!("//! x\nconst fn f() {{\n{}}}\n", body(71));
        assert_eq!(
            texts(&long),
            [
                "engine/src/x.rs:2: function of 71 lines is above 70; name its \
                                   steps"
            ]
        );
    }

    #[test]
    fn tests_do_not_count_and_long_files_do() {
        let tests = format!("#[cfg(test)]\nmod t {{\n{}}}\n", "a\n".repeat(900));
        assert_eq!(texts(&tests), Vec::<String>::new());
        assert!(texts(&"a;\n".repeat(801))[0].contains("file of 801 lines"));
        assert_eq!(
            texts(&format!(
                "//! Written by `cargo xtask codegen`.\n{}",
                "a;\n".repeat(900)
            ))
            .len(),
            0
        );
    }
}
