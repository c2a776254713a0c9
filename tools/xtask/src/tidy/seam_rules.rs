//! Rules on what only `engine/src/io` may touch: files, sockets, clocks, threads and `unsafe`.
//!
//! The simulation replaces that folder and nothing else, so whatever goes around it is outside
//! every crash test.

use super::source::SourceFile;
use super::words::has_word;
use super::{Finding, finding};

const SEAM: &str = "engine/src/io/";
/// Where the seam is kept. Tools and benchmarks are clients and may use the standard library.
const KEPT_IN: [&str; 2] = ["engine/src/", "server/src/"];
/// A fragment of code, and what to use instead.
const FORBIDDEN: [(&str, &str); 9] = [
    ("std::fs", "an operation of engine::io"),
    ("File::open", "an operation of engine::io"),
    ("Instant::now", "the clock of engine::io"),
    ("SystemTime::now", "the clock of engine::io"),
    ("thread::spawn", "engine::io's group"),
    ("thread::Builder", "engine::io's group"),
    ("thread::sleep", "a deadline"),
    (
        "process::Command",
        "nothing: the engine starts no processes",
    ),
    ("std::os::unix::net", "an operation of engine::io"),
];
const FORBIDDEN_TYPES: [&str; 4] = ["TcpListener", "TcpStream", "UdpSocket", "OpenOptions"];

/// Every rule of this file on one source.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if file.path.starts_with(SEAM) {
        return;
    }
    for (index, code) in file.code.iter().enumerate() {
        if has_word(code, "unsafe") {
            let text = format!("`unsafe` outside {SEAM}; make it safe or move it there");
            findings.push(finding(file, index + 1, text));
        }
    }
    if !KEPT_IN.iter().any(|folder| file.path.starts_with(folder)) {
        return;
    }
    for (line, code) in file.shipped_code() {
        for (fragment, instead) in FORBIDDEN {
            if code.contains(fragment) {
                let text = format!("`{fragment}` outside {SEAM}; use {instead}");
                findings.push(finding(file, line, text));
            }
        }
        for name in FORBIDDEN_TYPES {
            if has_word(code, name) {
                let text = format!("`{name}` outside {SEAM}; use an operation of engine::io");
                findings.push(finding(file, line, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, source: &str) -> usize {
        let mut findings = Vec::new();
        check(&SourceFile::new(path, source), &mut findings);
        findings.len()
    }

    #[test]
    fn the_world_is_reached_through_the_seam_only() {
        let sources = [
            "use std::fs;",
            "let t = Instant::now();",
            "use std::net::{TcpStream};",
        ];
        for source in sources {
            assert_eq!(count("server/src/x.rs", source), 1, "{source}");
            assert_eq!(count("engine/src/shard/x.rs", source), 1, "{source}");
            assert_eq!(count("engine/src/io/kernel/x.rs", source), 0, "{source}");
            assert_eq!(count("tools/src/x.rs", source), 0, "{source}");
            let tested = format!("#[cfg(test)]\nmod t {{\n{source}\n}}\n");
            assert_eq!(count("server/src/x.rs", &tested), 0, "{source}");
        }
    }

    #[test]
    fn unsafe_is_found_everywhere_else_even_in_tests() {
        assert_eq!(
            count("bench/src/x.rs", "#[cfg(test)]\nmod t { unsafe { f() } }"),
            1
        );
        assert_eq!(
            count("bench/src/x.rs", "#![deny(unsafe_code)] // unsafe"),
            0
        );
    }
}
