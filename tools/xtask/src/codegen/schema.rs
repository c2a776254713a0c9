//! The schema notation of `server/src/protocol/schemas`, read into a model.
//!
//! A file describes one API: `api KEY Name versions A-B [flexible C+]`, then `request` and
//! `response`, each with its fields. A field is `name type [versions] [null [versions]] [tag N]
//! [default VALUE]`; deeper indentation lists the fields of a structure, `[]` marks an array, and
//! versions left out are those of the parent. `#` begins a comment. Types: bool, i8, i16, i32,
//! i64, uuid, string, text (a string a response may put together), bytes, records, and names of
//! structures.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

/// A closed range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) min: i16,
    pub(super) max: i16,
}

impl Versions {
    /// Reads `3`, `3-7` or `3+`, the last one up to `top`.
    pub(super) fn parse(text: &str, top: i16) -> Result<Self> {
        let number = |text: &str| {
            text.parse::<i16>()
                .with_context(|| format!("`{text}` is no version number"))
        };
        let (min, max) = if let Some(min) = text.strip_suffix('+') {
            (number(min)?, top)
        } else if let Some((min, max)) = text.split_once('-') {
            (number(min)?, number(max)?)
        } else {
            (number(text)?, number(text)?)
        };
        Ok(Self { min, max })
    }

    /// The range in a sentence.
    pub(super) fn in_words(self) -> String {
        let noun = if self.min == self.max {
            "version"
        } else {
            "versions"
        };
        format!("{noun} {self}")
    }

    /// Every version of the range.
    pub(super) fn iter(self) -> impl Iterator<Item = i16> {
        self.min..=self.max
    }

    /// Whether `version` is in the range.
    pub(super) fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// The versions in both ranges, if any.
    pub(super) fn within(self, other: Self) -> Option<Self> {
        let both = Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        };
        (both.min <= both.max).then_some(both)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{}-{}", self.min, self.max)
        }
    }
}

/// One API: a request and its response.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) key: i16,
    pub(super) name: String,
    pub(super) versions: Versions,
    pub(super) flexible_from: Option<i16>,
    pub(super) request: Vec<Field>,
    pub(super) response: Vec<Field>,
}

impl Api {
    /// Both messages: the suffix of their names, and their fields.
    pub(super) fn messages(&self) -> [(&'static str, &[Field]); 2] {
        [("Request", &self.request), ("Response", &self.response)]
    }
}

/// A field of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) is_array: bool,
    pub(super) versions: Versions,
    pub(super) null: Option<Versions>,
    pub(super) tag: Option<u32>,
    pub(super) default: Option<String>,
}

/// The type of a field or of the elements of an array field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Basic(Basic),
    Struct { name: String, fields: Vec<Field> },
}

/// A type that is not a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basic {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Uuid,
    String,
    Text,
    Bytes,
    Records,
}

impl Basic {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "bool" => Self::Bool,
            "i8" => Self::I8,
            "i16" => Self::I16,
            "i32" => Self::I32,
            "i64" => Self::I64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "text" => Self::Text,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            _ => return None,
        })
    }

    /// Whether values refer to the frame they were read from.
    pub(super) fn borrows(self) -> bool {
        matches!(
            self,
            Self::String | Self::Text | Self::Bytes | Self::Records
        )
    }

    /// The fewest bytes a value takes.
    pub(super) fn size_min(self, is_flexible: bool) -> usize {
        match self {
            Self::Bool | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
            Self::I64 => 8,
            Self::Uuid => 16,
            Self::String | Self::Text | Self::Bytes | Self::Records if is_flexible => 1,
            Self::String | Self::Text => 2,
            Self::Bytes | Self::Records => 4,
        }
    }
}

struct Line<'t> {
    number: usize,
    depth: usize,
    words: Vec<&'t str>,
}

/// Reads a schema file.
pub(super) fn parse(text: &str) -> Result<Api> {
    let lines = split(text)?;
    let mut lines = lines.as_slice();
    let (head, rest) = lines.split_first().context("the file is empty")?;
    lines = rest;
    let mut api = parse_head(head).with_context(|| format!("line {}", head.number))?;
    let versions = api.versions;
    for (title, fields) in [
        ("request", &mut api.request),
        ("response", &mut api.response),
    ] {
        let (head, rest) = lines
            .split_first()
            .with_context(|| format!("no `{title}`"))?;
        ensure!(
            head.depth == 0 && head.words == [title],
            "line {}: expected `{title}`",
            head.number
        );
        lines = rest;
        *fields = parse_fields(&mut lines, 1, versions)?;
    }
    if let [line, ..] = lines {
        bail!("line {}: expected the end of the file", line.number);
    }
    Ok(api)
}

fn split(text: &str) -> Result<Vec<Line<'_>>> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<_> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let spaces = line.len() - line.trim_start_matches(' ').len();
        let number = index + 1;
        ensure!(
            spaces % 2 == 0,
            "line {number}: {spaces} spaces of indentation, use pairs"
        );
        lines.push(Line {
            number,
            depth: spaces / 2,
            words,
        });
    }
    Ok(lines)
}

fn parse_head(line: &Line<'_>) -> Result<Api> {
    let (key, name, versions, flexible) = match line.words.as_slice() {
        ["api", key, name, "versions", versions] => (key, name, versions, None),
        ["api", key, name, "versions", versions, "flexible", from] => {
            (key, name, versions, Some(from))
        }
        _ => bail!("expected `api KEY Name versions A-B [flexible C+]`"),
    };
    let versions = Versions::parse(versions, i16::MAX)?;
    let flexible = flexible
        .map(|from| Versions::parse(from, versions.max))
        .transpose()?;
    Ok(Api {
        key: key
            .parse()
            .with_context(|| format!("`{key}` is no api key"))?,
        name: (*name).to_owned(),
        versions,
        flexible_from: flexible.map(|from| from.min),
        request: Vec::new(),
        response: Vec::new(),
    })
}

fn parse_fields(lines: &mut &[Line<'_>], depth: usize, parent: Versions) -> Result<Vec<Field>> {
    let mut fields = Vec::<Field>::new();
    while let [line, rest @ ..] = lines
        && line.depth >= depth
    {
        ensure!(
            line.depth == depth,
            "line {}: indented without a structure",
            line.number
        );
        *lines = rest;
        let mut field = parse_field(line, parent)
            .with_context(|| format!("line {}: {}", line.number, line.words.join(" ")))?;
        ensure!(
            fields.iter().all(|other| other.name != field.name),
            "line {}: field {} occurs twice",
            line.number,
            field.name
        );
        let versions = field.versions;
        if let Kind::Struct { name, fields } = &mut field.kind {
            *fields = parse_fields(lines, depth + 1, versions)?;
            ensure!(
                !fields.is_empty(),
                "line {}: structure {name} is empty",
                line.number
            );
        }
        fields.push(field);
    }
    Ok(fields)
}

fn parse_field(line: &Line<'_>, parent: Versions) -> Result<Field> {
    let [name, kind, attributes @ ..] = line.words.as_slice() else {
        bail!("expected `name type …`");
    };
    let (is_array, kind) = match kind.strip_prefix("[]") {
        Some(kind) => (true, kind),
        None => (false, *kind),
    };
    let kind = match Basic::parse(kind) {
        Some(basic) => Kind::Basic(basic),
        None if kind.starts_with(|first: char| first.is_ascii_uppercase()) => Kind::Struct {
            name: kind.to_owned(),
            fields: Vec::new(),
        },
        None => bail!("type `{kind}` is unknown"),
    };
    let name = (*name).to_owned();
    let mut field = Field {
        name,
        kind,
        is_array,
        versions: parent,
        null: None,
        tag: None,
        default: None,
    };
    let starts_with_digit = |word: &&&str| word.starts_with(|c: char| c.is_ascii_digit());
    let mut words = attributes.iter().peekable();
    if let Some(word) = words.next_if(starts_with_digit) {
        field.versions = Versions::parse(word, parent.max)?;
    }
    while let Some(word) = words.next() {
        match *word {
            "null" => {
                let top = field.versions.max;
                let versions = words
                    .next_if(starts_with_digit)
                    .map(|word| Versions::parse(word, top));
                field.null = Some(versions.transpose()?.unwrap_or(field.versions));
            }
            "tag" => {
                let tag = words.next().context("`tag` without a number")?;
                field.tag = Some(tag.parse().with_context(|| format!("tag `{tag}`"))?);
            }
            "default" => {
                let value = words.next().context("`default` without a value")?;
                field.default = Some((*value).to_owned());
            }
            word => bail!("`{word}` is no attribute"),
        }
    }
    check_ranges(&field, parent)?;
    Ok(field)
}

fn check_ranges(field: &Field, parent: Versions) -> Result<()> {
    let versions = field.versions;
    ensure!(
        versions.within(parent) == Some(versions),
        "versions {versions} are not within {parent}"
    );
    if let Some(null) = field.null {
        ensure!(
            null.within(versions) == Some(null),
            "null in versions {null}, which are not within {versions}"
        );
        let has_null = match &field.kind {
            _ if field.is_array => true,
            Kind::Basic(basic) => basic.borrows(),
            Kind::Struct { .. } => false,
        };
        ensure!(has_null, "this type has no null");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    #[test]
    fn parse_reads_ranges_and_attributes() {
        let api = parse(
            "api 7 Sample versions 1-5 flexible 4+ # comment\n\
             request\n  list []Item 2+ null 3+\n    id i32 3-4 default -1\n\
             response\n  epoch i64 4+ tag 2 default -1\n",
        )
        .unwrap();
        assert_eq!(api.flexible_from, Some(4));
        let list = &api.request[0];
        assert_eq!(list.versions, Versions { min: 2, max: 5 });
        assert_eq!(list.null, Some(Versions { min: 3, max: 5 }));
        let Kind::Struct { fields, .. } = &list.kind else {
            panic!("not a structure")
        };
        assert_eq!(fields[0].versions, Versions { min: 3, max: 4 });
        assert_eq!(api.response[0].tag, Some(2));
        assert_eq!(api.response[0].default.as_deref(), Some("-1"));
    }

    #[test]
    fn parse_names_the_line_of_a_mistake() {
        let head = "api 7 Sample versions 1-5\nrequest\n";
        assert!(error(&format!("{head}  id i33\nresponse\n")).contains("line 3"));
        assert!(error(&format!("{head}  id i32 0+\nresponse\n")).contains("not within"));
        assert!(error(&format!("{head}  id i32 null\nresponse\n")).contains("no null"));
        assert!(error(&format!("{head}  id i32\n  id i32\nresponse\n")).contains("twice"));
        assert!(error(&format!("{head}  list []Item\nresponse\n")).contains("empty"));
        assert!(error(&format!("{head}   id i32\nresponse\n")).contains("indentation"));
        assert!(error(head).contains("no `response`"));
    }
}
