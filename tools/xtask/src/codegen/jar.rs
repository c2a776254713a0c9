//! Compares the schemas with the message definitions inside a kafka-clients jar.
//!
//! For each version that both describe, the fields and their order, types, nullability, tags and
//! defaults must agree. Nothing of the definitions enters the repository.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::emit::snake;
use super::schema::{Api, Basic, Field, Kind, Versions};

/// Compares every API.
pub(super) fn compare(jar: &Path, apis: &[Api]) -> Result<()> {
    let mut differences = Vec::new();
    for api in apis {
        for (suffix, fields) in api.messages() {
            let name = format!("{}{suffix}", api.name);
            let definition = read_definition(jar, &name)?;
            let mut message = Comparison {
                name: &name,
                definition: &definition,
                found: Vec::new(),
            };
            message.compare(api, fields).with_context(|| name.clone())?;
            differences.append(&mut message.found);
        }
    }
    if differences.is_empty() {
        println!("{} APIs agree with {}", apis.len(), jar.display());
        return Ok(());
    }
    bail!(
        "schemas differ from {}:\n  {}",
        jar.display(),
        differences.join("\n  ")
    )
}

fn read_definition(jar: &Path, name: &str) -> Result<Value> {
    let member = format!("common/message/{name}.json");
    let output = Command::new("unzip")
        .arg("-p")
        .arg(jar)
        .arg(&member)
        .output()
        .context("run unzip, which reads the jar")?;
    ensure!(output.status.success(), "{} has no {member}", jar.display());
    let text = String::from_utf8(output.stdout)?;
    // The definitions carry comments on lines of their own.
    let plain: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    serde_json::from_str(&plain.join("\n")).with_context(|| member)
}

struct Comparison<'d> {
    name: &'d str,
    definition: &'d Value,
    found: Vec<String>,
}

/// One field as one version has it, in words both sides share.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    name: String,
    kind: String,
    is_nullable: bool,
    tag: Option<u64>,
    default: String,
}

impl Comparison<'_> {
    fn compare(&mut self, api: &Api, fields: &[Field]) -> Result<()> {
        let definition = self.definition;
        let key = definition["apiKey"].as_i64();
        if key != Some(i64::from(api.key)) {
            self.found
                .push(format!("{}: key {}, theirs {key:?}", self.name, api.key));
        }
        let theirs = versions(&definition["validVersions"])?.context("no valid versions")?;
        let Some(shared) = api.versions.within(theirs) else {
            self.found
                .push(format!("{}: no version in common", self.name));
            return Ok(());
        };
        let flexible = versions(&definition["flexibleVersions"])?;
        for version in shared.iter() {
            let ours = api.flexible_from.is_some_and(|from| version >= from);
            let theirs = flexible.is_some_and(|range| range.contains(version));
            if ours != theirs {
                self.found.push(format!(
                    "{} version {version}: flexible {ours}, theirs {theirs}",
                    self.name
                ));
            }
            let path = self.name.to_owned();
            self.compare_fields(&path, fields, &definition["fields"], version)?;
        }
        Ok(())
    }

    fn compare_fields(
        &mut self,
        path: &str,
        ours: &[Field],
        theirs: &Value,
        version: i16,
    ) -> Result<()> {
        let theirs = theirs
            .as_array()
            .with_context(|| format!("{path}: no fields"))?;
        let mut present = Vec::new();
        for field in theirs {
            if versions(&field["versions"])?.is_some_and(|range| range.contains(version)) {
                present.push(field);
            }
        }
        let ours: Vec<_> = ours
            .iter()
            .filter(|field| field.versions.contains(version))
            .collect();
        let count = ours.len();
        if count != present.len() {
            self.found.push(format!(
                "{path} version {version}: {count} fields, theirs {}",
                present.len()
            ));
        }
        for (ours, theirs) in ours.into_iter().zip(present) {
            let (our_facts, their_facts) =
                (our_facts(ours, version), their_facts(theirs, version)?);
            if our_facts != their_facts {
                self.found.push(format!(
                    "{path} version {version}: {our_facts:?}, theirs {their_facts:?}"
                ));
            }
            if let Kind::Struct { fields, .. } = &ours.kind {
                let path = format!("{path}.{}", ours.name);
                self.compare_fields(&path, fields, &theirs["fields"], version)?;
            }
        }
        Ok(())
    }
}

fn our_facts(field: &Field, version: i16) -> Facts {
    let kind = match &field.kind {
        Kind::Struct { name, .. } => name.as_str(),
        Kind::Basic(basic) => match basic {
            Basic::Bool => "bool",
            Basic::I8 => "int8",
            Basic::I16 => "int16",
            Basic::I32 => "int32",
            Basic::I64 => "int64",
            Basic::Uuid => "uuid",
            Basic::String | Basic::Text => "string",
            Basic::Bytes => "bytes",
            Basic::Records => "records",
        },
    };
    let prefix = if field.is_array { "[]" } else { "" };
    Facts {
        name: field.name.clone(),
        kind: format!("{prefix}{kind}"),
        is_nullable: field.null.is_some_and(|null| null.contains(version)),
        tag: field.tag.map(u64::from),
        default: plain_default(
            field.default.as_deref().unwrap_or_default(),
            field.null.is_some(),
        ),
    }
}

fn their_facts(field: &Value, version: i16) -> Result<Facts> {
    let text = |key: &str| field[key].as_str().unwrap_or_default();
    let nullable = versions(&field["nullableVersions"])?;
    let is_tagged = versions(&field["taggedVersions"])?.is_some_and(|v| v.contains(version));
    let default = match &field["default"] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(Facts {
        name: snake(text("name")),
        kind: text("type").to_owned(),
        is_nullable: nullable.is_some_and(|range| range.contains(version)),
        tag: field["tag"].as_u64().filter(|_| is_tagged),
        default: plain_default(&default, nullable.is_some()),
    })
}

/// A default in one spelling. What a type has without being told counts as none, and so does null
/// where a field can be null, which the notation takes for granted.
fn plain_default(text: &str, is_nullable: bool) -> String {
    match text.to_ascii_lowercase().as_str() {
        "" | "0" | "false" => String::new(),
        "null" if is_nullable => String::new(),
        hex if hex.starts_with("0x") => i64::from_str_radix(&hex[2..], 16)
            .map_or_else(|_| hex.to_owned(), |value| value.to_string()),
        other => other.to_owned(),
    }
}

fn versions(value: &Value) -> Result<Option<Versions>> {
    match value.as_str() {
        None | Some("none") => Ok(None),
        Some(text) => Versions::parse(text, i16::MAX).map(Some),
    }
}
