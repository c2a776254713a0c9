//! `cargo xtask codegen`: writes the Kafka messages of `server/src/protocol` from their schemas.
//!
//! With `--check` nothing is written: generated files that differ from the schemas are an error,
//! and with a kafka-clients jar the schemas are compared with the definitions inside it.

mod emit;
mod jar;
mod schema;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use schema::Api;

/// What `codegen` is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing, fail on drift. With a kafka-clients jar, compare the schemas with it too.
    #[arg(long, value_name = "JAR", num_args = 0..=1)]
    check: Option<Option<PathBuf>>,
}

/// Runs `cargo xtask codegen` in the workspace at `root`.
///
/// # Errors
/// When a schema is wrong, a file cannot be read or written, or a check finds a difference.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let protocol = root.join("server/src/protocol");
    let apis = read_schemas(&protocol.join("schemas"))?;
    let files = generate(root, &apis)?;
    let Some(check) = &args.check else {
        return write_files(root, &files);
    };
    find_drift(root, &files)?;
    match check {
        Some(jar) => jar::compare(jar, &apis),
        None => Ok(()),
    }
}

fn read_schemas(folder: &Path) -> Result<Vec<Api>> {
    let mut apis = Vec::new();
    let listing = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for file in listing {
        let path = file?.path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let api = schema::parse(&text).with_context(|| path.display().to_string())?;
        let expected = format!("{}.schema", emit::snake(&api.name));
        ensure!(
            path.ends_with(&expected),
            "{}: name it {expected}",
            path.display()
        );
        apis.push(api);
    }
    apis.sort_by_key(|api| api.key);
    for pair in apis.windows(2) {
        ensure!(
            pair[0].key != pair[1].key,
            "{} and {} share a key",
            pair[0].name,
            pair[1].name
        );
    }
    Ok(apis)
}

/// Every generated file, by its path under the root.
fn generate(root: &Path, apis: &[Api]) -> Result<BTreeMap<PathBuf, String>> {
    let protocol = Path::new("server/src/protocol");
    let mut files = BTreeMap::new();
    files.insert(protocol.join("api_key.rs"), table::api_key(apis));
    files.insert(protocol.join("messages/mod.rs"), table::messages(apis));
    files.insert(
        PathBuf::from("server/tests/codec/samples.rs"),
        table::samples(apis),
    );
    for api in apis {
        for (suffix, fields) in api.messages() {
            let name = emit::snake(&format!("{}{suffix}", api.name));
            let text = emit::message(api, suffix, fields);
            files.insert(protocol.join(format!("messages/{name}.rs")), text);
        }
    }
    for (path, text) in &mut files {
        let is_message = path.starts_with(protocol.join("messages")) && !path.ends_with("mod.rs");
        *text = format_rust(root, is_message, text).with_context(|| path.display().to_string())?;
    }
    Ok(files)
}

/// Messages are formatted with long lines, which shows them best; `cargo fmt` leaves them alone.
fn format_rust(root: &Path, with_long_lines: bool, text: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout"])
        .args(with_long_lines.then_some("--config=use_small_heuristics=Max"))
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("run rustfmt, which generated code needs")?;
    let mut input = rustfmt
        .stdin
        .take()
        .context("rustfmt has no standard input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = rustfmt.wait_with_output()?;
    ensure!(
        output.status.success(),
        "rustfmt refuses the generated code:\n{text}"
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn write_files(root: &Path, files: &BTreeMap<PathBuf, String>) -> Result<()> {
    for stale in stale_files(root, files)? {
        fs::remove_file(root.join(stale))?;
    }
    for (path, text) in files {
        let path = root.join(path);
        if fs::read_to_string(&path).is_ok_and(|present| present == *text) {
            continue;
        }
        let folder = path.parent().context("a generated file has a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn find_drift(root: &Path, files: &BTreeMap<PathBuf, String>) -> Result<()> {
    let mut wrong = stale_files(root, files)?;
    for (path, text) in files {
        if !fs::read_to_string(root.join(path)).is_ok_and(|present| present == *text) {
            wrong.push(path.clone());
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = wrong
        .iter()
        .map(|path| format!("  {}", path.display()))
        .collect();
    bail!(
        "not what the schemas say, run `cargo xtask codegen`:\n{}",
        list.join("\n")
    )
}

/// Message modules that no schema describes.
fn stale_files(root: &Path, files: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>> {
    let folder = Path::new("server/src/protocol/messages");
    let Ok(listing) = fs::read_dir(root.join(folder)) else {
        return Ok(Vec::new());
    };
    let mut stale = Vec::new();
    for file in listing {
        let path = folder.join(file?.file_name());
        if !files.contains_key(&path) {
            stale.push(path);
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_what_the_schemas_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        run(&root, &Args { check: Some(None) }).unwrap();
    }
}
