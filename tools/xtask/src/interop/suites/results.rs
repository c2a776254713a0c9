//! What a suite's ids did: a table of rows, its file, and the comparison with what is expected.
//!
//! The file is `target/interop/<suite>-<peer>.tsv`: id, outcome, seconds, reason. Lists of ids to
//! commit are in `tools/xtask/interop`: `expected` must pass here, `kafka` passes on Apache Kafka.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// How one id ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ran and every check in it held.
    Passed,
    /// It ran and did not pass; why.
    Failed(String),
    /// It did not run; why.
    Skipped(String),
}

impl Outcome {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Passed => ("passed", ""),
            Self::Failed(reason) => ("failed", reason),
            Self::Skipped(reason) => ("skipped", reason),
        }
    }

    /// One word, and the reason in one line.
    pub(super) fn line(&self) -> String {
        let (word, reason) = self.parts();
        let reason: Vec<&str> = reason.split_whitespace().collect();
        let reason: String = reason.join(" ").chars().take(300).collect();
        format!("{word}\t{reason}").trim_end().to_owned()
    }

    /// The worse of two runs of one id: a failure hides a skip, and a skip hides a pass.
    pub(super) fn worse(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Failed(_), _) | (Self::Skipped(_), Self::Passed) => self,
            (Self::Passed, Self::Passed) => Self::Passed,
            _ => other,
        }
    }
}

/// One id's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// How it ended.
    pub(super) outcome: Outcome,
    /// How long it took, in whole seconds.
    pub(super) seconds: u64,
}

/// The rows by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table(pub(super) BTreeMap<String, Row>);

impl Table {
    /// Reads a table; one that is not there is empty.
    pub(super) fn load(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path)?;
        Self::parse(&text).with_context(|| format!("table {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut table = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [id, word, seconds, reason] = fields[..] else {
                bail!("`{line}` has not four fields");
            };
            let outcome = match word {
                "passed" => Outcome::Passed,
                "failed" => Outcome::Failed(reason.to_owned()),
                "skipped" => Outcome::Skipped(reason.to_owned()),
                _ => bail!("`{word}` is no outcome"),
            };
            let seconds = seconds.parse()?;
            table.0.insert(id.to_owned(), Row { outcome, seconds });
        }
        Ok(table)
    }

    /// Writes the whole table.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for (id, row) in &self.0 {
            let line = row.outcome.line();
            let (word, reason) = line.split_once('\t').unwrap_or((&line, ""));
            text.push_str(&format!("{id}\t{word}\t{}\t{reason}\n", row.seconds));
        }
        fs::write(path, text).with_context(|| format!("table {}", path.display()))
    }

    /// The ids that passed.
    pub(super) fn passed(&self) -> BTreeSet<String> {
        let passed = self
            .0
            .iter()
            .filter(|(_, row)| row.outcome == Outcome::Passed);
        passed.map(|(id, _)| id.clone()).collect()
    }

    /// The ids of `wanted` that did not pass, each with how it ended; those that did not run are
    /// left out unless `is_whole`.
    pub(super) fn missing(&self, wanted: &BTreeSet<String>, is_whole: bool) -> Vec<String> {
        let mut missing = Vec::new();
        for id in wanted {
            match self.0.get(id).map(|row| &row.outcome) {
                Some(Outcome::Passed) => {}
                Some(outcome) => missing.push(format!("{id}\t{}", outcome.line())),
                None if is_whole => missing.push(format!("{id}\tis not in the suite any more")),
                None => {}
            }
        }
        missing
    }
}

/// Reads a committed list: an id a line.
pub(super) fn read_list(path: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(path).with_context(|| {
        format!(
            "list {}; write it with --write, once the run is right",
            path.display()
        )
    })?;
    let ids = text.lines().filter(|line| !line.is_empty());
    Ok(ids.map(str::to_owned).collect())
}

/// Writes a list to commit.
pub(super) fn write_list(path: &Path, ids: &BTreeSet<String>) -> Result<()> {
    let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
    fs::write(path, lines).with_context(|| format!("list {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let text = "a\tpassed\t3\t\nb\tfailed\t4\ttimed out\nc\tskipped\t0\tneeds x\n";
        Table::parse(text).unwrap()
    }

    #[test]
    fn a_table_reads_what_it_wrote() {
        let path = std::env::temp_dir().join(format!("interop-table-{}", std::process::id()));
        table().save(&path).unwrap();
        assert_eq!(Table::load(&path).unwrap(), table());
        fs::remove_file(&path).unwrap();
        assert_eq!(Table::load(&path).unwrap(), Table::default());
        assert!(Table::parse("a\tpassed\t3\n").is_err());
        assert!(Table::parse("a\twon\t3\t\n").is_err());
    }

    #[test]
    fn an_expected_id_that_failed_was_skipped_or_is_gone_is_missing() {
        let wanted = ["a", "b", "c", "d"].map(str::to_owned).into();
        assert_eq!(table().missing(&wanted, false).len(), 2);
        let missing = table().missing(&wanted, true);
        assert_eq!(missing[0], "b\tfailed\ttimed out");
        assert_eq!(missing[1], "c\tskipped\tneeds x");
        assert!(missing[2].starts_with("d\t"));
        assert_eq!(table().passed(), ["a".to_owned()].into());
    }

    #[test]
    fn the_worse_of_two_outcomes_counts() {
        let failed = || Outcome::Failed("x".into());
        let skipped = || Outcome::Skipped("y".into());
        assert_eq!(failed().worse(skipped()), failed());
        assert_eq!(skipped().worse(failed()), failed());
        assert_eq!(Outcome::Passed.worse(skipped()), skipped());
        assert_eq!(skipped().worse(Outcome::Passed), skipped());
        assert_eq!(Outcome::Passed.worse(Outcome::Passed), Outcome::Passed);
    }
}
