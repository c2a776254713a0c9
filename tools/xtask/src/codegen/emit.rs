//! Rust code for the messages of a schema: types, reading and writing.
//!
//! Versions become plain comparisons. A range that a parent implies is never tested again, so that
//! the code shows where versions differ and nothing else. The output is not formatted.

use super::schema::{Api, Basic, Field, Kind, Versions};

/// What the structures of one message have in common.
struct Context<'s> {
    api: &'s Api,
    out: String,
}

/// A structure to be written: the message itself or one inside it.
struct Structure<'s> {
    name: &'s str,
    /// Where it is in the message, such as `ProduceRequest.topic_data`.
    path: String,
    fields: &'s [Field],
    versions: Versions,
}

/// The module of one message.
pub(super) fn message(api: &Api, suffix: &str, fields: &[Field]) -> String {
    let name = format!("{}{suffix}", api.name);
    let structures = structures(&name, api.versions, fields);
    let mut context = Context {
        api,
        out: String::new(),
    };
    context.header(&name, &structures);
    for structure in &structures {
        context.structure(structure);
    }
    context.message_trait(&name, suffix, fields);
    context.out
}

/// The message and all structures in it, outermost first.
fn structures<'s>(name: &'s str, versions: Versions, fields: &'s [Field]) -> Vec<Structure<'s>> {
    let mut found = vec![Structure {
        name,
        path: name.to_owned(),
        fields,
        versions,
    }];
    let mut index = 0;
    while let Some(Structure { path, fields, .. }) = found.get(index) {
        let inner: Vec<_> = fields
            .iter()
            .filter_map(|field| match &field.kind {
                Kind::Struct { name, fields } => Some(Structure {
                    name,
                    path: format!("{path}.{}", field.name),
                    fields,
                    versions: field.versions,
                }),
                Kind::Basic(_) => None,
            })
            .collect();
        found.extend(inner);
        index += 1;
    }
    found
}

impl Context<'_> {
    fn line(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    fn header(&mut self, name: &str, structures: &[Structure<'_>]) {
        let Api {
            key,
            versions,
            flexible_from,
            ..
        } = self.api;
        let flexible = flexible_from.map(|from| format!(", flexible from {from}"));
        self.line(format!(
            "//! `{name}`: api key {key}, versions {versions}{}.",
            flexible.unwrap_or_default()
        ));
        self.line("//!");
        self.line(format!(
            "//! Written by `cargo xtask codegen` from `schemas/{}.schema`; edit that.",
            snake(&self.api.name)
        ));
        self.line("");
        let fields = || structures.iter().flat_map(|structure| structure.fields);
        if fields().any(|field| field.kind == Kind::Basic(Basic::Text)) {
            self.line("use std::borrow::Cow;\n");
        }
        let mut names = vec!["Message", "Reader", "Sink", "Version", "Wire"];
        names.extend(["ApiKey", "DecodeError", "EncodeError"]);
        names.extend(name.ends_with("Request").then_some("Request"));
        names.extend(fields().any(|field| field.is_array).then_some("List"));
        let uuid = Kind::Basic(Basic::Uuid);
        names.extend(fields().any(|field| field.kind == uuid).then_some("Uuid"));
        if self.api.flexible_from.is_some() {
            names.extend(
                structures
                    .iter()
                    .any(|s| tagged(s).is_empty())
                    .then_some("put_no_tags"),
            );
            if structures.iter().any(|s| !tagged(s).is_empty()) {
                names.extend(["put_tagged", "put_uvarint"]);
            }
        }
        let partly_null = |field: &Field| field.null.is_some_and(|null| null != field.versions);
        names.extend(fields().any(partly_null).then_some("write_present"));
        self.line(format!("use crate::protocol::{{{}}};", names.join(", ")));
        if name.ends_with("Request") {
            let response = name.replace("Request", "Response");
            self.line(format!("use super::{response};"));
        }
    }

    fn structure(&mut self, structure: &Structure<'_>) {
        self.type_definition(structure);
        let Structure { name, fields, .. } = structure;
        let generics = lifetime(fields);
        let size_min = structure
            .versions
            .iter()
            .map(|version| self.size_min(fields, version))
            .min()
            .unwrap_or_default();
        self.line(format!(
            "\nimpl<'a> Wire<'a> for {name}{generics} {{\n\
             const SIZE_MIN: usize = {size_min};\n\n\
             fn read(reader: &mut Reader<'a>, v: Version, _field: &'static str) \
             -> Result<Self, DecodeError> {{"
        ));
        self.read_body(structure);
        self.line(
            "}\n\nfn write<S: Sink>(&self, sink: &mut S, v: Version, _field: &'static str) \
             -> Result<(), EncodeError> {",
        );
        self.write_body(structure);
        self.line("}\n}");
    }

    fn type_definition(&mut self, structure: &Structure<'_>) {
        let Structure {
            name,
            path,
            fields,
            versions,
        } = structure;
        let generics = lifetime(fields);
        let plain_default = fields.iter().all(|field| field.default.is_none());
        let derived = if plain_default { ", Default" } else { "" };
        match path.split_once('.') {
            Some((message, place)) => self.line(format!("\n/// `{place}` in `{message}`.")),
            None => self.line(format!("\n/// The `{name}` message.")),
        }
        if *versions != self.api.versions {
            self.line(format!("/// In {}.", versions.in_words()));
        }
        self.line(format!("#[derive(Debug, Clone, PartialEq{derived})]"));
        self.line(format!("pub struct {name}{generics} {{"));
        for field in *fields {
            if let Some(doc) = field_doc(field, *versions) {
                self.line(format!("/// {doc}."));
            }
            self.line(format!("pub {}: {},", field.name, rust_type(field, "'a")));
        }
        self.line("}");
        if !plain_default {
            let any = if generics.is_empty() { "" } else { "<'_>" };
            self.line(format!(
                "\nimpl Default for {name}{any} {{\nfn default() -> Self {{\nSelf {{"
            ));
            for field in *fields {
                self.line(format!("{}: {},", field.name, default_value(field)));
            }
            self.line("}\n}\n}");
        }
    }

    fn read_body(&mut self, structure: &Structure<'_>) {
        let Structure {
            name,
            fields,
            versions,
            ..
        } = structure;
        let tags = tagged(structure);
        self.line(if tags.is_empty() {
            "let value = Self {"
        } else {
            "let mut value = Self {"
        });
        for field in *fields {
            let value = if field.tag.is_some() {
                default_value(field)
            } else {
                let read = read_value(field, name);
                match condition(field.versions, *versions) {
                    Some(test) => {
                        format!("if {test} {{ {read} }} else {{ {} }}", default_value(field))
                    }
                    None => read,
                }
            };
            self.line(format!("{}: {value},", field.name));
        }
        self.line("};");
        if self.api.flexible_from.is_some() && tags.is_empty() {
            self.line(format!("reader.skip_tagged_fields(v, \"{name}\")?;"));
        } else if !tags.is_empty() {
            self.line(format!(
                "if v.is_flexible {{\n\
                 reader.tagged_fields(\"{name}\", |tag, reader| {{\nmatch tag {{"
            ));
            for (tag, field) in tags {
                let test = condition(field.versions, self.flexible(*versions));
                let guard = test.map(|test| format!(" if {test}")).unwrap_or_default();
                let read = read_value(field, name);
                self.line(format!("{tag}{guard} => value.{} = {read},", field.name));
            }
            self.line("_ => return Ok(false),\n}\nOk(true)\n})?;\n}");
        }
        self.line("Ok(value)");
    }

    fn write_body(&mut self, structure: &Structure<'_>) {
        let Structure {
            name: structure_name,
            fields,
            versions,
            ..
        } = structure;
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            let name = &field.name;
            let place = format!("{structure_name}.{name}");
            let mut write = format!("self.{name}.write(sink, v, \"{place}\")?;");
            if let Some(test) = field.null.and_then(|null| condition(null, field.versions)) {
                write = format!(
                    "if {test} {{ {write} }} else {{\n\
                     write_present(self.{name}.as_ref(), sink, v, \"{place}\")?;\n}}"
                );
            }
            match condition(field.versions, *versions) {
                Some(test) => self.line(format!("if {test} {{\n{write}\n}}")),
                None => self.line(write),
            }
        }
        let tags = tagged(structure);
        match (self.api.flexible_from, tags.as_slice()) {
            (None, _) => self.line("Ok(())"),
            (Some(_), []) => self.line("put_no_tags(sink, v)"),
            (Some(_), tags) => self.write_tags(structure_name, tags, *versions),
        }
    }

    fn write_tags(&mut self, structure_name: &str, tags: &[(u32, &Field)], versions: Versions) {
        self.line("if v.is_flexible {");
        for (tag, field) in tags {
            let differs = differs_from_default(field);
            match condition(field.versions, self.flexible(versions)) {
                Some(test) => self.line(format!("let has_tag_{tag} = {test} && {differs};")),
                None => self.line(format!("let has_tag_{tag} = {differs};")),
            }
        }
        let count: Vec<_> = tags
            .iter()
            .map(|(tag, _)| format!("u32::from(has_tag_{tag})"))
            .collect();
        self.line(format!("put_uvarint(sink, {})?;", count.join(" + ")));
        for (tag, field) in tags {
            let name = &field.name;
            self.line(format!(
                "if has_tag_{tag} {{\n\
                 put_tagged(sink, v, {tag}, &self.{name}, \"{structure_name}.{name}\")?;\n}}"
            ));
        }
        self.line("}\nOk(())");
    }

    fn message_trait(&mut self, name: &str, suffix: &str, fields: &[Field]) {
        let generics = lifetime(fields);
        self.line(format!(
            "\nimpl<'a> Message<'a> for {name}{generics} {{\n\
             const NAME: &'static str = \"{name}\";\n\
             const API: ApiKey = ApiKey::{};\n}}",
            self.api.name
        ));
        if suffix == "Request" {
            let response = lifetime(&self.api.response).replace("'a", "'r");
            self.line(format!(
                "\nimpl<'a> Request<'a> for {name}{generics} {{\n\
                 type Response<'r> = {}Response{response};\n}}",
                self.api.name
            ));
        }
    }

    /// The versions of a structure that have tagged fields.
    fn flexible(&self, versions: Versions) -> Versions {
        let min = self
            .api
            .flexible_from
            .unwrap_or(versions.min)
            .max(versions.min);
        Versions { min, ..versions }
    }

    /// The fewest bytes the fields take in `version`.
    fn size_min(&self, fields: &[Field], version: i16) -> usize {
        let is_flexible = self.api.flexible_from.is_some_and(|from| version >= from);
        let present = |field: &&Field| field.tag.is_none() && field.versions.contains(version);
        let sum: usize = fields
            .iter()
            .filter(present)
            .map(|field| match &field.kind {
                _ if field.is_array => {
                    if is_flexible {
                        1
                    } else {
                        4
                    }
                }
                Kind::Struct { fields, .. } => self.size_min(fields, version),
                Kind::Basic(basic) => basic.size_min(is_flexible),
            })
            .sum();
        sum + usize::from(is_flexible)
    }
}

fn tagged<'s>(structure: &Structure<'s>) -> Vec<(u32, &'s Field)> {
    let fields = structure.fields.iter();
    let mut tags: Vec<_> = fields
        .filter_map(|field| Some((field.tag?, field)))
        .collect();
    tags.sort_by_key(|(tag, _)| *tag);
    tags
}

/// The test that `versions` hold, where `known` is known to hold.
fn condition(versions: Versions, known: Versions) -> Option<String> {
    match (versions.min > known.min, versions.max < known.max) {
        (false, false) => None,
        (true, false) => Some(format!("v.number >= {}", versions.min)),
        (false, true) if versions.max == known.min => Some(format!("v.number == {}", versions.max)),
        (false, true) => Some(format!("v.number <= {}", versions.max)),
        (true, true) if versions.min == versions.max => {
            Some(format!("v.number == {}", versions.min))
        }
        (true, true) => Some(format!(
            "({}..={}).contains(&v.number)",
            versions.min, versions.max
        )),
    }
}

fn read_value(field: &Field, structure_name: &str) -> String {
    let read = format!(
        "Wire::read(reader, v, \"{structure_name}.{}\")?",
        field.name
    );
    match field.null.and_then(|null| condition(null, field.versions)) {
        Some(test) => format!("if {test} {{ {read} }} else {{ Some({read}) }}"),
        None => read,
    }
}

fn needs_lifetime(fields: &[Field]) -> bool {
    fields.iter().any(|field| match &field.kind {
        _ if field.is_array => true,
        Kind::Struct { fields, .. } => needs_lifetime(fields),
        Kind::Basic(basic) => basic.borrows(),
    })
}

fn lifetime(fields: &[Field]) -> &'static str {
    if needs_lifetime(fields) { "<'a>" } else { "" }
}

/// The Rust type of a field with the given lifetime.
pub(super) fn rust_type(field: &Field, lifetime: &str) -> String {
    let mut text = match &field.kind {
        Kind::Struct { name, fields } if needs_lifetime(fields) => format!("{name}<{lifetime}>"),
        Kind::Struct { name, .. } => name.clone(),
        Kind::Basic(basic) => match basic {
            Basic::Bool => "bool".to_owned(),
            Basic::I8 => "i8".to_owned(),
            Basic::I16 => "i16".to_owned(),
            Basic::I32 => "i32".to_owned(),
            Basic::I64 => "i64".to_owned(),
            Basic::Uuid => "Uuid".to_owned(),
            Basic::String => format!("&{lifetime} str"),
            Basic::Text => format!("Cow<{lifetime}, str>"),
            Basic::Bytes | Basic::Records => format!("&{lifetime} [u8]"),
        },
    };
    if field.is_array {
        text = format!("List<{lifetime}, {text}>");
    }
    if field.null.is_some() {
        text = format!("Option<{text}>");
    }
    text
}

fn field_doc(field: &Field, parent: Versions) -> Option<String> {
    let mut facts = Vec::new();
    if field.versions != parent {
        facts.push(format!("in {}", field.versions.in_words()));
    }
    if let Some(null) = field.null.filter(|null| *null != field.versions) {
        facts.push(format!("may be null in {}", null.in_words()));
    }
    if let Some(tag) = field.tag {
        facts.push(format!("tagged field {tag}"));
    }
    let text = facts.join(", ");
    let mut letters = text.chars();
    let first = letters.next()?;
    Some(format!(
        "{}{}",
        first.to_ascii_uppercase(),
        letters.as_str()
    ))
}

/// A field's value in a version that does not have it.
pub(super) fn default_value(field: &Field) -> String {
    match (&field.default, &field.kind) {
        (Some(value), _) => value.clone(),
        _ if field.null.is_some() => "None".to_owned(),
        _ if field.is_array => "List::new()".to_owned(),
        (None, Kind::Struct { name, .. }) => format!("{name}::default()"),
        (None, Kind::Basic(basic)) => match basic {
            Basic::Bool => "false".to_owned(),
            Basic::I8 | Basic::I16 | Basic::I32 | Basic::I64 => "0".to_owned(),
            Basic::Uuid => "Uuid::ZERO".to_owned(),
            Basic::String => "\"\"".to_owned(),
            Basic::Text => "Cow::Borrowed(\"\")".to_owned(),
            Basic::Bytes | Basic::Records => "&[]".to_owned(),
        },
    }
}

fn differs_from_default(field: &Field) -> String {
    let name = &field.name;
    match &field.kind {
        _ if field.null.is_some() => format!("self.{name}.is_some()"),
        _ if field.is_array => format!("!self.{name}.is_empty()"),
        Kind::Basic(Basic::Bool) if field.default.is_none() => format!("self.{name}"),
        _ => format!("self.{name} != {}", default_value(field)),
    }
}

/// The name of a schema file or module for an API or message.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
