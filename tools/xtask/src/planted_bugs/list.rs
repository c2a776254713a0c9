//! The bugs of `engine/src/planted.rs`, and whether code asks for them.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const LIST: &str = "engine/src/planted.rs";
/// Where a switch can be.
const FOLDERS: [&str; 2] = ["engine/src", "server/src"];

/// A bug that could be planted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bug {
    pub(super) number: u8,
    pub(super) name: String,
    pub(super) has_switch: bool,
}

/// The bugs of the list, and whether code asks for them anywhere.
///
/// # Errors
/// When the sources cannot be read.
pub(super) fn bugs(root: &Path) -> Result<Vec<Bug>> {
    let list = fs::read_to_string(root.join(LIST)).context(LIST)?;
    let mut code = String::new();
    for folder in FOLDERS {
        read_code(&root.join(folder), &mut code)?;
    }
    Ok(read_list(&list, &code))
}

fn read_list(list: &str, code: &str) -> Vec<Bug> {
    let entry = |line: &str| {
        let (name, number) = line.trim().strip_suffix(',')?.split_once(" = ")?;
        let number = number.parse().ok()?;
        let switch = format!("Bug::{name}");
        let ends = |at: usize| {
            let rest = &code[at + switch.len()..];
            !rest.starts_with(|c: char| c.is_alphanumeric())
        };
        Some(Bug {
            number,
            name: name.to_owned(),
            has_switch: code.match_indices(&switch).any(|(at, _)| ends(at)),
        })
    };
    list.lines().filter_map(entry).collect()
}

fn read_code(folder: &Path, code: &mut String) -> Result<()> {
    for child in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = child?.path();
        if path.is_dir() {
            read_code(&path, code)?;
        } else if !path.ends_with(LIST) && path.extension().is_some_and(|end| end == "rs") {
            code.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Bug, bugs, read_list};
    use crate::planted_bugs::table::{IMPOSSIBLE, TABLE};

    #[test]
    fn bugs_are_read_with_their_switches() {
        let list = "    /// One.\n    FirstBug = 1,\n    Second = 2,\n    Third = 3,\n";
        let code = "if planted::is(Bug::FirstBug) {} Bug::SecondBest";
        let bug = |number, name: &str, has_switch| Bug {
            number,
            name: name.to_owned(),
            has_switch,
        };
        assert_eq!(
            read_list(list, code),
            [
                bug(1, "FirstBug", true),
                bug(2, "Second", false),
                bug(3, "Third", false)
            ]
        );
    }

    #[test]
    fn every_bug_has_a_switch_and_layers_or_a_reason_why_it_cannot_be() {
        let found = bugs(&crate::workspace_root()).unwrap();
        let numbers: Vec<u8> = found.iter().map(|bug| bug.number).collect();
        assert_eq!(numbers, (1..=found.len() as u8).collect::<Vec<u8>>());
        let without = found.iter().filter(|bug| !bug.has_switch);
        let without: Vec<u8> = without.map(|bug| bug.number).collect();
        assert_eq!(without, IMPOSSIBLE.map(|(number, _)| number));
        let with = found.iter().filter(|bug| bug.has_switch);
        let with: Vec<u8> = with.map(|bug| bug.number).collect();
        let table: Vec<u8> = TABLE.iter().map(|(number, _)| *number).collect();
        assert_eq!(with, table);
    }
}
