//! Sources as tidy sees them: the lines as written, the code alone and the comments alone, so that
//! a rule about code never trips over a word in a sentence or in a literal.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const CRATE_FOLDERS: [&str; 4] = ["bench", "engine", "server", "tools"];

/// One Rust file.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// Path from the workspace root.
    pub(super) path: String,
    /// Lines as written.
    pub(super) lines: Vec<String>,
    /// Lines with comments, strings and characters replaced by blanks.
    pub(super) code: Vec<String>,
    /// Lines with everything but comments replaced by blanks.
    pub(super) comments: Vec<String>,
    /// For each line, whether it is only compiled for tests.
    pub(super) is_test: Vec<bool>,
    /// Made by `cargo xtask codegen`.
    pub(super) is_generated: bool,
}

impl SourceFile {
    /// Splits a text.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (code, comments) = split_code(text);
        let is_test = test_lines(path, &code);
        let is_generated = lines
            .iter()
            .take(8)
            .any(|line| line.contains("Written by `cargo xtask codegen`"));
        Self {
            path: path.to_owned(),
            lines,
            code,
            comments,
            is_test,
            is_generated,
        }
    }

    /// Line numbers (from 1) and code of the lines that are compiled outside tests.
    pub(super) fn shipped_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.iter().zip(&self.is_test).enumerate();
        lines
            .filter(|(_, (_, is_test))| !**is_test)
            .map(|(at, (code, _))| (at + 1, code.as_str()))
    }
}

/// Every Rust file of the workspace, ordered by path.
pub(super) fn read_all(root: &Path) -> Result<Vec<SourceFile>> {
    let mut sources = Vec::new();
    for folder in CRATE_FOLDERS {
        walk(root, &root.join(folder), &mut sources)?;
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn walk(root: &Path, folder: &Path, sources: &mut Vec<SourceFile>) -> Result<()> {
    let listed = fs::read_dir(folder).with_context(|| format!("folder {}", folder.display()))?;
    for child in listed {
        let path = child?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') && name != "node_modules" {
                walk(root, &path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
            sources.push(SourceFile::new(&relative, &text));
        }
    }
    Ok(())
}

/// Marks lines of test files and of `#[cfg(test)]` modules.
fn test_lines(path: &str, code: &[String]) -> Vec<bool> {
    let is_test_file = path.contains("/tests/")
        || path.contains("/benches/")
        || path.contains("/micro/")
        || path.ends_with("/tests.rs");
    let mut marks = vec![is_test_file; code.len()];
    let mut index = 0;
    while index < code.len() {
        if code[index].trim().starts_with("#[cfg(test)]") {
            let end = block_end(code, index);
            for mark in &mut marks[index..=end] {
                *mark = true;
            }
            index = end;
        }
        index += 1;
    }
    marks
}

/// Index of the line on which the block (or the bodiless item) that begins at or after `start`
/// ends.
pub(super) fn block_end(code: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    for (index, line) in code.iter().enumerate().skip(start) {
        for character in line.chars() {
            match character {
                '{' => depth += 1,
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return index;
                    }
                }
                ';' if depth == 0 => return index,
                _ => {}
            }
        }
    }
    code.len().saturating_sub(1)
}

/// The text's code and its comments, line by line; line breaks stay where they are.
fn split_code(text: &str) -> (Vec<String>, Vec<String>) {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut comments = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = non_code_end(&characters, at);
        let is_comment = end > at && characters[at] == '/';
        let is_code = end == at;
        for &character in &characters[at..end.max(at + 1)] {
            let blank = if character == '\n' { '\n' } else { ' ' };
            code.push(if is_code { character } else { blank });
            comments.push(if is_comment { character } else { blank });
        }
        at = end.max(at + 1);
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    (lines(&code), lines(&comments))
}

/// End of the comment or literal that begins at `at`, or `at` when none does.
fn non_code_end(characters: &[char], at: usize) -> usize {
    let is_after_word =
        at > 0 && (characters[at - 1].is_alphanumeric() || characters[at - 1] == '_');
    match (characters[at], characters.get(at + 1)) {
        ('/', Some('/')) => find(characters, at, |c| c == '\n'),
        ('/', Some('*')) => block_comment_end(characters, at),
        ('"', _) => string_end(characters, at),
        ('r', Some('"' | '#')) if !is_after_word => raw_string_end(characters, at, at + 1),
        ('b', Some('r')) if !is_after_word => raw_string_end(characters, at, at + 2),
        ('\'', Some('\\')) => find(characters, at + 3, |c| c == '\'') + 1,
        ('\'', Some(_)) if characters.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
    .min(characters.len())
}

fn find(characters: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..characters.len())
        .find(|&at| wanted(characters[at]))
        .unwrap_or(characters.len())
}

fn block_comment_end(characters: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < characters.len() {
        match (characters[at], characters.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string_end(characters: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < characters.len() && characters[at] != '"' {
        at += if characters[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string_end(characters: &[char], start: usize, marks_start: usize) -> usize {
    let quote = find(characters, marks_start, |c| c != '#');
    if characters.get(quote) != Some(&'"') {
        return start;
    }
    let marks = quote - marks_start;
    let mut at = quote + 1;
    while at < characters.len() {
        let is_end = characters[at] == '"'
            && characters[at + 1..]
                .iter()
                .take(marks)
                .filter(|&&c| c == '#')
                .count()
                == marks;
        if is_end {
            return at + 1 + marks;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        split_code(text)
            .0
            .join(" ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        assert_eq!(code("let a = 1; // b\nlet c;"), "let a = 1; let c;");
        assert_eq!(code("a /* b /* c */ d */ e"), "a e");
        assert_eq!(
            code(r#"f("x \" // y", 'z', '\'', b"w", '\n')"#),
            "f( , , , b , )"
        );
        assert_eq!(code("f(r#\"a\"b\"#, br\"c\")"), "f( , )");
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn lines_stay_where_they_are() {
        let (code, comments) = split_code("a // x\n\"b\nc\"\nd");
        assert_eq!(code.len(), 4);
        assert_eq!(code[3], "d");
        assert_eq!(comments[0].trim(), "// x");
    }

    #[test]
    fn test_modules_are_marked_to_their_end() {
        let file = SourceFile::new("engine/src/x.rs", "a\n#[cfg(test)]\nmod t {\n {\n}\n}\nb\n");
        assert_eq!(file.is_test, [false, true, true, true, true, true, false]);
        let declared = SourceFile::new("engine/src/x.rs", "#[cfg(test)]\nmod tests;\nb\n");
        assert_eq!(declared.is_test, [true, true, false]);
    }
}
