//! docs/configuration.md, made from the tables that the broker itself goes by, so that it cannot
//! say anything else than what holds. `cargo xtask configuration` writes it.

use super::broker_keys::{BROKER_KEYS, BrokerKey};
use super::kafka_keys::{KAFKA_ONLY, PREFIXES};
use super::topic_keys::{TOPIC_KEYS, TopicKey};
use super::value::Kind;
use std::fmt::Write;

const HEAD: &str = "\
# Configuration

Written by `cargo xtask configuration` from `server/src/config`; a test fails when it differs.

Settings carry Kafka's names. Those of the broker are given to `millrace serve` with \
`--config FILE` (a properties file) or `--set key=value` (over the file), and hold until it ends. \
Those of a topic are given with `millrace topic create --config key=value` or \
`millrace topic alter --set key=value`, and hold at once.

- A key that neither Kafka nor Millrace has, and a value that is not allowed, are refused with \
name, value and what is allowed.
- *acted on*: changes what the broker does.
- *no effect*: accepted, checked, stored and described, so that clients and scripts written for \
Kafka go on; changes nothing.
";

/// The whole document.
#[must_use]
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Broker settings\n\n");
    text.push_str("| Name | Type | Default | Allowed | Acted on | Meaning |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for key in BROKER_KEYS {
        let meaning = broker_meaning(key);
        let default = key.default.unwrap_or("not set");
        row(&mut text, (key.name, key.kind), default, &meaning);
    }
    text.push_str("\n## Topic configs\n\n");
    text.push_str("A topic that sets nothing takes the default from the broker setting named.\n\n");
    text.push_str("| Name | Type | Default | Allowed | Acted on | Meaning |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for key in TOPIC_KEYS {
        let meaning = topic_meaning(key);
        row(&mut text, (key.name, key.kind), key.default, &meaning);
    }
    kafka_only(&mut text);
    text
}

/// Whether a key changes something, and what it means.
struct Meaning {
    is_acted_on: bool,
    text: String,
}

fn broker_meaning(key: &BrokerKey) -> Meaning {
    let given = TOPIC_KEYS
        .iter()
        .find(|topic| topic.broker.iter().any(|(name, _)| *name == key.name));
    Meaning {
        is_acted_on: given.map_or(!key.documentation.starts_with("Accepted;"), is_acted_on),
        text: key.documentation.to_owned(),
    }
}

fn topic_meaning(key: &TopicKey) -> Meaning {
    let mut text = key.documentation.to_owned();
    let names: Vec<String> = key
        .broker
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if !names.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, " Default from {}.", names.join(", "));
    }
    Meaning {
        is_acted_on: is_acted_on(key),
        text,
    }
}

/// Keys without effect say so in their first word, where DescribeConfigs shows it, too.
fn is_acted_on(key: &TopicKey) -> bool {
    !key.documentation.starts_with("Accepted;")
}

fn row(text: &mut String, (name, kind): (&str, Kind), default: &str, meaning: &Meaning) {
    let default = match default {
        "" => "empty".to_owned(),
        "not set" => default.to_owned(),
        value => format!("`{value}`"),
    };
    let acted_on = if meaning.is_acted_on {
        "yes"
    } else {
        "no effect"
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "| `{name}` | {} | {default} | {} | {acted_on} | {} |",
        type_name(kind),
        kind.allowed(),
        meaning.text.replace('|', "\\|")
    );
}

const fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Int { .. } => "int",
        Kind::Long { .. } => "long",
        Kind::Double { .. } => "double",
        Kind::Choice(_) | Kind::Text => "string",
        Kind::List(_) => "list",
    }
}

fn kafka_only(text: &mut String) {
    text.push_str(
        "\n## Kafka's broker settings without a meaning here\n\nAccepted with one warning, not \
         kept.\n\n",
    );
    let families: Vec<String> = PREFIXES.iter().map(|name| format!("`{name}*`")).collect();
    let names: Vec<String> = KAFKA_ONLY.iter().map(|name| format!("`{name}`")).collect();
    for list in [families, names] {
        text.push_str(&list.join(", "));
        text.push_str("\n\n");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_the_tables_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == markdown(),
            "docs/configuration.md differs: run `cargo xtask configuration` and commit it"
        );
    }

    #[test]
    fn a_row_has_type_default_range_effect_and_meaning() {
        let text = markdown();
        let row = |name: &str| {
            let start = format!("| `{name}` |");
            let found = text.lines().find(|line| line.starts_with(&start));
            found.unwrap_or_default().to_owned()
        };
        let partitions = row("num.partitions");
        for part in ["int", "`1`", "from 1 to 10000", "| yes |", "creator"] {
            assert!(partitions.contains(part), "{partitions}");
        }
        assert!(row("preallocate").contains("| no effect |"));
        assert!(row("log.preallocate").contains("| no effect |"));
        assert!(row("retention.ms").contains("`log.retention.ms`"));
        assert!(row("node.id").contains("| not set |"));
    }

    #[test]
    fn every_row_has_the_same_columns() {
        let text = markdown();
        for line in text.lines().filter(|line| line.starts_with('|')) {
            let bars = line.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 7, "{line}");
        }
    }
}
