//! Rules on direction: which module may use which. An edge that is not in the table is an error,
//! and so is a module that the table does not know.

use super::source::SourceFile;
use super::words::identifiers;
use super::{Finding, finding};

/// A crate's top modules and what of the same crate each may use, itself apart.
struct Layers {
    folder: &'static str,
    /// Used by all.
    common: &'static [&'static str],
    modules: &'static [(&'static str, &'static [&'static str])],
}

/// What the parts of a broker shard use: each other and all below.
const BROKER: [&str; 15] = [
    "start_lines",
    "broker",
    "changes",
    "config",
    "counters",
    "error_mapping",
    "groups",
    "handlers",
    "listener",
    "mail",
    "net",
    "request",
    "slab",
    "ticket",
    "topics",
];

const LAYERS: [Layers; 2] = [
    Layers {
        folder: "engine/src/",
        common: &["ids", "limits", "planted", "crc_join"],
        modules: &[
            ("ids", &[]),
            ("limits", &[]),
            ("planted", &[]),
            ("crc_join", &[]),
            ("io", &[]),
            ("record_batch", &[]),
            ("segment", &["io", "record_batch"]),
            ("partition", &["io", "record_batch", "segment"]),
            ("journal", &["io", "partition", "record_batch", "segment"]),
            (
                "shard",
                &["io", "journal", "partition", "record_batch", "segment"],
            ),
            (
                "inspect",
                &[
                    "engine",
                    "io",
                    "journal",
                    "partition",
                    "record_batch",
                    "segment",
                    "shard",
                ],
            ),
            (
                "engine",
                &[
                    "io",
                    "journal",
                    "partition",
                    "record_batch",
                    "segment",
                    "shard",
                ],
            ),
        ],
    },
    Layers {
        folder: "server/src/",
        common: &["protocol"],
        modules: &[
            ("protocol", &[]),
            ("config", &[]),
            ("counters", &[]),
            ("net", &["counters"]),
            ("slab", &[]),
            ("error_mapping", &[]),
            ("ticket", &["slab"]),
            ("request", &["net"]),
            ("groups", &["config"]),
            ("topics", &["config", "groups", "mail"]),
            // What shards tell each other names what both ends hold.
            ("mail", &["handlers", "net", "request", "topics"]),
            ("listener", &["broker", "mail", "net"]),
            // Handlers are the broker shard's methods, one file per API.
            ("handlers", &BROKER),
            ("changes", &BROKER),
            ("broker", &BROKER),
            (
                "run",
                &[
                    "broker",
                    "config",
                    "counters",
                    "listen_plan",
                    "listener",
                    "mail",
                    "net",
                    "run_error",
                    "serve_config",
                    "start_lines",
                    "topics",
                ],
            ),
            ("serve_config", &[]),
            ("run_error", &["config", "serve_config"]),
            (
                "listen_plan",
                &["config", "run_error", "serve_config", "topics"],
            ),
            ("start_lines", &["counters"]),
        ],
    },
];

/// Folders that must not name a crate.
const CRATES_FORBIDDEN: [(&str, &[&str]); 4] = [
    (
        "engine/src/",
        &["millrace_server", "millrace_bench", "millrace"],
    ),
    (
        "server/src/protocol/",
        &["millrace_engine", "millrace_bench", "tokio", "tokio_uring"],
    ),
    (
        "server/src/",
        &["millrace_bench", "tokio", "tokio_uring", "io_uring"],
    ),
    ("bench/src/", &["millrace"]),
];

/// Every rule of this file on one source.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (folder, forbidden) in CRATES_FORBIDDEN {
        if file.path.starts_with(folder) {
            check_crates(file, forbidden, findings);
        }
    }
    for layers in &LAYERS {
        if let Some(rest) = file.path.strip_prefix(layers.folder) {
            check_edges(file, layers, rest, findings);
        }
    }
}

fn check_crates(file: &SourceFile, forbidden: &[&str], findings: &mut Vec<Finding>) {
    for (line, code) in file.shipped_code() {
        for name in identifiers(code).filter(|name| forbidden.contains(name)) {
            findings.push(finding(
                file,
                line,
                format!("`{name}` may not be used here"),
            ));
        }
    }
}

fn check_edges(file: &SourceFile, layers: &Layers, rest: &str, findings: &mut Vec<Finding>) {
    let top = rest
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs");
    if top == "lib" {
        return;
    }
    let Some((_, allowed)) = layers.modules.iter().find(|(module, _)| *module == top) else {
        let text = format!("module `{top}` is not in the layer table of tidy; give it its place");
        findings.push(finding(file, 1, text));
        return;
    };
    for (line, used) in crate_uses(file) {
        let is_module = layers.modules.iter().any(|(module, _)| *module == used);
        let is_allowed =
            used == top || allowed.contains(&&*used) || layers.common.contains(&&*used);
        if is_module && !is_allowed {
            let text = format!("`{top}` may not use `{used}`; see the layers in ARCHITECTURE.md");
            findings.push(finding(file, line, text));
        }
    }
}

/// Top modules named as `crate::x` or `crate::{x, y::z}` outside tests, with their lines.
fn crate_uses(file: &SourceFile) -> Vec<(usize, String)> {
    let mut uses = Vec::new();
    for (line, code) in file.shipped_code() {
        let mut rest = code;
        while let Some(at) = rest.find("crate::") {
            rest = &rest[at + "crate::".len()..];
            if !rest.starts_with('{') {
                uses.extend(identifiers(rest).next().map(|name| (line, name.to_owned())));
                continue;
            }
            let group: String = file.code[line - 1..].join(" ");
            let start = group.find("crate::{").map_or(0, |at| at + "crate::{".len());
            uses.extend(
                group_heads(&group[start..])
                    .into_iter()
                    .map(|name| (line, name)),
            );
        }
    }
    uses
}

/// First identifiers of the elements of a `{…}` group, whose opening brace is behind us.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut element = String::new();
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut element)),
            _ => element.push(character),
        }
    }
    heads.push(element);
    heads
        .iter()
        .filter_map(|element| identifiers(element).next().map(str::to_owned))
        .collect()
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
    fn edges_that_point_up_are_found_in_every_form() {
        let path = "engine/src/segment/x.rs";
        assert_eq!(
            texts(path, "use crate::io::Io;\nuse crate::ids::FileId;").len(),
            0
        );
        assert_eq!(texts(path, "use crate::partition::X;").len(), 1);
        assert_eq!(texts(path, "fn f(x: crate::shard::Shard) {}").len(), 1);
        assert_eq!(
            texts(path, "use crate::{\n io::{A, B},\n shard::C,\n};").len(),
            1
        );
        assert_eq!(
            texts(path, "#[cfg(test)]\nmod t { use crate::shard::X; }").len(),
            0
        );
    }

    #[test]
    fn unknown_modules_and_crates_are_found() {
        assert!(texts("engine/src/cache/x.rs", "")[0].contains("`cache` is not in the layer"));
        assert_eq!(
            texts("server/src/protocol/x.rs", "use millrace_engine::ids;").len(),
            1
        );
        assert_eq!(texts("engine/src/lib.rs", "pub mod io;").len(), 0);
    }
}
