//! Generated files that speak of all APIs: the enum of keys, the list of modules, test samples.

use std::fmt::Write;

use super::emit::{default_value, rust_type, snake};
use super::schema::{Api, Field, Kind, Versions};

const ORIGIN: &str = "Written by `cargo xtask codegen` from `server/src/protocol/schemas`.";

/// `api_key.rs`.
pub(super) fn api_key(apis: &[Api]) -> String {
    let list = |line: &dyn Fn(&Api) -> String| apis.iter().map(line).collect::<String>();
    let variants = list(&|api| {
        let name = &api.name;
        format!("/// The `{name}` API.\n{name} = {},\n", api.key)
    });
    let all = list(&|api| format!("Self::{},", api.name));
    let from_key = list(&|api| format!("{} => Self::{},\n", api.key, api.name));
    let name = list(&|api| format!("Self::{0} => \"{0}\",\n", api.name));
    let versions = list(&|api| {
        format!(
            "Self::{} => ({}, {}),\n",
            api.name, api.versions.min, api.versions.max
        )
    });
    let flexible = list(&|api| {
        api.flexible_from.map_or_else(String::new, |from| {
            format!("Self::{} => {from},\n", api.name)
        })
    });
    let others = if apis.iter().all(|api| api.flexible_from.is_some()) {
        ""
    } else {
        "_ => i16::MAX,\n"
    };
    format!(
        "//! The APIs this codec knows: key, name, versions.\n//!\n//! {ORIGIN}\n\n\
         /// An API of the protocol.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
         #[repr(i16)]\npub enum ApiKey {{\n{variants}}}\n\n\
         impl ApiKey {{\n\
         /// Every API, by key.\npub const ALL: [Self; {count}] = [{all}];\n\n\
         /// The API with this key.\n#[must_use]\n\
         pub const fn from_key(key: i16) -> Option<Self> {{\n\
         Some(match key {{\n{from_key}_ => return None,\n}})\n}}\n\n\
         /// The number on the wire.\n#[must_use]\n\
         pub const fn key(self) -> i16 {{\nself as i16\n}}\n\n\
         /// The name in the protocol's documentation.\n#[must_use]\n\
         pub const fn name(self) -> &'static str {{\nmatch self {{\n{name}}}\n}}\n\n\
         /// The lowest and the highest version the codec reads and writes.\n#[must_use]\n\
         pub const fn versions(self) -> (i16, i16) {{\nmatch self {{\n{versions}}}\n}}\n\n\
         /// The first version with compact lengths and tagged fields; `i16::MAX` if none has.\n\
         #[must_use]\n\
         pub const fn flexible_from(self) -> i16 {{\nmatch self {{\n{flexible}{others}}}\n}}\n}}\n",
        count = apis.len(),
    )
}

/// `messages/mod.rs`.
pub(super) fn messages(apis: &[Api]) -> String {
    let mut out = format!(
        "//! The messages, a module each.\n//!\n//! {ORIGIN}\n//! Fields carry the protocol's \
         names. A nullable field is an `Option`; one that a version\n//! does not have is left out \
         when written, and has its default when read.\n\n\
         #![expect(missing_docs, \
         reason = \"the names are the protocol's, which documents them\")]\n\n"
    );
    let mut uses = String::new();
    for api in apis {
        for (suffix, _) in api.messages() {
            let name = format!("{}{suffix}", api.name);
            let _ = writeln!(out, "#[rustfmt::skip]\npub mod {};", snake(&name));
            let _ = writeln!(uses, "pub use {}::{name};", snake(&name));
        }
    }
    out.push('\n');
    out + &uses
}

/// `server/tests/codec/samples.rs`: random values of every message, for the codec's tests.
pub(super) fn samples(apis: &[Api]) -> String {
    let mut out = format!(
        "//! Random values of every message in every version.\n//!\n//! {ORIGIN}\n\n\
         use super::sampler::{{Sample, Sampler}};\n\
         use millrace_server::protocol::messages;\n\
         use millrace_server::protocol::{{List, Uuid, Version}};\n\n"
    );
    let mut names = String::new();
    for api in apis {
        let name = &api.name;
        let _ = writeln!(
            names,
            "$visit!({name}, {name}Request);\n$visit!({name}, {name}Response);"
        );
    }
    let _ = write!(
        out,
        "/// Calls `$visit!(api, message)` for every message.\n\
         macro_rules! for_each_message {{\n($visit:ident) => {{\n{names}}};\n}}\n\
         pub(crate) use for_each_message;\n\n"
    );
    for api in apis {
        for (suffix, fields) in api.messages() {
            let name = format!("{}{suffix}", api.name);
            let module = format!("messages::{}", snake(&name));
            sample(&mut out, &module, &name, fields, api.versions);
        }
    }
    out
}

fn sample(out: &mut String, module: &str, name: &str, fields: &[Field], versions: Versions) {
    let text = fields
        .iter()
        .any(|field| rust_type(field, "'static").contains("'static"));
    let generics = if text { "<'static>" } else { "" };
    let _ = write!(
        out,
        "impl Sample for {module}::{name}{generics} {{\n\
         fn sample(s: &mut Sampler, v: Version) -> Self {{\nSelf {{\n"
    );
    for field in fields {
        let mut value = "s.value(v)".to_owned();
        if let Some(null) = field.null.filter(|null| *null != field.versions) {
            let Versions { min, max } = null;
            value = format!(
                "if ({min}..={max}).contains(&v.number) {{ s.value(v) }} \
                 else {{ Some(s.value(v)) }}"
            );
        }
        if field.versions != versions {
            let Versions { min, max } = field.versions;
            let default = match &field.kind {
                Kind::Struct { .. } if !field.is_array => "Default::default()".to_owned(),
                _ => default_value(field).replace("Cow::Borrowed(\"\")", "\"\".into()"),
            };
            value = format!(
                "if ({min}..={max}).contains(&v.number) {{ {value} }} else {{ {default} }}"
            );
        }
        let _ = writeln!(out, "{}: {value},", field.name);
    }
    out.push_str("}\n}\n}\n\n");
    for field in fields {
        if let Kind::Struct { name, fields } = &field.kind {
            sample(out, module, name, fields, field.versions);
        }
    }
}
