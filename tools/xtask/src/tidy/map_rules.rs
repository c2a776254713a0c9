//! Rules on the map: ARCHITECTURE.md names every folder of sources, every path a document names
//! exists, every source file is part of a crate, and no file names a package registry's host.

use super::Finding;
use super::source::SourceFile;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const MAP: &str = "ARCHITECTURE.md";
/// A path in a document is one that begins with one of these.
const PATH_STARTS: [&str; 6] = ["engine/", "server/", "bench/", "tools/", "docs/", ".ci/"];
/// Files that a package tool writes.
const WRITTEN_BY_TOOLS: [&str; 1] = ["Cargo.lock"];

/// A text that is not Rust.
#[derive(Debug)]
pub(super) struct Document {
    /// Path from the workspace root.
    pub(super) path: String,
    /// All of it.
    pub(super) text: String,
}

/// Every text file of the workspace that is not Rust, ordered by path.
pub(super) fn read_documents(root: &Path) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    walk(root, root, &mut documents)?;
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(documents)
}

fn walk(root: &Path, folder: &Path, documents: &mut Vec<Document>) -> Result<()> {
    for child in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = child?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
        if path.is_dir() {
            let is_ours = ![
                "target",
                ".git",
                "millrace-data",
                "node_modules",
                "__pycache__",
            ]
            .contains(&name.as_str());
            if is_ours {
                walk(root, &path, documents)?;
            }
        } else if !name.ends_with(".rs")
            && !WRITTEN_BY_TOOLS.contains(&relative.as_str())
            && let Ok(text) = fs::read_to_string(&path)
        {
            documents.push(Document {
                path: relative,
                text,
            });
        }
    }
    Ok(())
}

/// Every rule of this file.
pub(super) fn check(
    root: &Path,
    sources: &[SourceFile],
    documents: &[Document],
    findings: &mut Vec<Finding>,
) {
    check_folders(sources, documents, findings);
    for document in documents {
        if document.path.ends_with(".md") {
            check_paths(root, document, findings);
        }
        check_hosts(&document.path, document.text.lines(), findings);
    }
    for source in sources {
        check_hosts(
            &source.path,
            source.lines.iter().map(String::as_str),
            findings,
        );
    }
    check_dead_files(sources, findings);
}

fn check_folders(sources: &[SourceFile], documents: &[Document], findings: &mut Vec<Finding>) {
    let map = documents.iter().find(|document| document.path == MAP);
    let map = map
        .map(|document| document.text.as_str())
        .unwrap_or_default();
    let folders: BTreeSet<&str> = sources
        .iter()
        .filter(|file| file.path.contains("/src/") && !file.path.contains("/tests/"))
        .filter_map(|file| file.path.rsplit_once('/').map(|(folder, _)| folder))
        .collect();
    for folder in folders {
        if !map.contains(&format!("`{folder}`")) && !map.contains(&format!("`{folder}/")) {
            let text = format!("folder `{folder}` is not named; say what it is for");
            findings.push(Finding {
                path: MAP.to_owned(),
                line: 1,
                text,
            });
        }
    }
}

fn check_paths(root: &Path, document: &Document, findings: &mut Vec<Finding>) {
    for (index, line) in document.text.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let is_path = PATH_STARTS.iter().any(|start| quoted.starts_with(start))
                && !quoted.contains(['*', '{', '<', ' ', '…']);
            let path = quoted.split([':', '#']).next().unwrap_or_default();
            if is_path && !root.join(path).exists() {
                let text = format!("`{path}` does not exist; correct the path");
                findings.push(Finding {
                    path: document.path.clone(),
                    line: index + 1,
                    text,
                });
            }
        }
    }
}

/// Packages are named, and the package tools know where to get them.
fn check_hosts<'a>(path: &str, lines: impl Iterator<Item = &'a str>, findings: &mut Vec<Finding>) {
    // In two halves, so that this file passes its own rule.
    let halves = [
        ("crates", ".io"),
        ("npmjs", ".org"),
        ("npmjs", ".com"),
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("maven", ".org"),
        ("maven.apache", ".org"),
        ("deb.debian", ".org"),
        ("proxy.golang", ".org"),
    ];
    for (index, line) in lines.enumerate() {
        for (name, domain) in halves {
            if line.contains(&format!("{name}{domain}")) {
                let text = format!("the host {name}{domain} of a registry; name the package only");
                findings.push(Finding {
                    path: path.to_owned(),
                    line: index + 1,
                    text,
                });
            }
        }
    }
}

/// A file below `src` that no `mod` line names is not compiled, and so nobody's.
fn check_dead_files(sources: &[SourceFile], findings: &mut Vec<Finding>) {
    let is_compiled: BTreeSet<&str> = sources.iter().map(|file| file.path.as_str()).collect();
    for file in sources {
        let Some((folder, name)) = file.path.rsplit_once('/') else {
            continue;
        };
        let is_root = ["lib.rs", "main.rs"].contains(&name) && folder.ends_with("/src");
        if !file.path.contains("/src/") || is_root || folder.ends_with("/src/bin") {
            continue;
        }
        let (module, home) = match name {
            "mod.rs" => match folder.rsplit_once('/') {
                Some((home, module)) => (module, home),
                None => continue,
            },
            _ => (name.trim_end_matches(".rs"), folder),
        };
        let declares = |file: &SourceFile| {
            file.code.iter().any(|code| {
                let code = code.trim_end();
                code.ends_with(&format!("mod {module};"))
            })
        };
        let parents = ["mod.rs", "lib.rs", "main.rs"].map(|parent| format!("{home}/{parent}"));
        let is_declared = sources.iter().any(|source| {
            let is_parent = is_compiled.contains(source.path.as_str())
                && (parents.contains(&source.path) || source.path == format!("{home}.rs"));
            is_parent && declares(source)
        });
        if !is_declared {
            let text = format!("no `mod {module};` names this file; use it or delete it");
            findings.push(Finding {
                path: file.path.clone(),
                line: 1,
                text,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, text: &str) -> Document {
        Document {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn texts(sources: &[(&str, &str)], documents: &[Document]) -> Vec<String> {
        let sources: Vec<SourceFile> = sources
            .iter()
            .map(|(path, text)| SourceFile::new(path, text))
            .collect();
        let mut findings = Vec::new();
        check(&crate::workspace_root(), &sources, documents, &mut findings);
        findings
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn folders_missing_from_the_map_are_found() {
        let sources = [("engine/src/lib.rs", "mod a;"), ("engine/src/a/mod.rs", "")];
        let whole = document(
            MAP,
            "`engine/src/lib.rs` `engine/src/`, then `engine/src/a`",
        );
        assert!(
            !texts(&sources, &[whole])
                .iter()
                .any(|text| text.contains("not named"))
        );
        let half = document(MAP, "`engine/src/lib.rs`");
        let found = texts(&sources, &[half]);
        assert!(
            found
                .iter()
                .any(|text| text.contains("`engine/src/a` is not named")),
            "{found:?}"
        );
    }

    #[test]
    fn paths_that_do_not_exist_are_found_with_their_line() {
        let text = "see `engine/src/limits.rs`\nand `engine/src/nowhere.rs`, `engine/src/*`";
        let found = texts(&[], &[document("README.md", text)]);
        assert_eq!(
            found,
            ["README.md:2: `engine/src/nowhere.rs` does not exist; correct the path"]
        );
    }

    #[test]
    fn registry_hosts_and_dead_files_are_found() {
        let host = format!("get it from {}{}", "pypi", ".org");
        assert!(texts(&[], &[document("x.toml", &host)])[0].contains("of a registry"));
        let map = || document(MAP, "`engine/src/lib.rs`");
        let sources = [("engine/src/lib.rs", "mod a;"), ("engine/src/b.rs", "")];
        assert!(texts(&sources, &[map()])[0].contains("no `mod b;` names this file"));
        let sources = [("engine/src/lib.rs", "pub mod b;"), ("engine/src/b.rs", "")];
        assert_eq!(texts(&sources, &[map()]), Vec::<String>::new());
    }
}
