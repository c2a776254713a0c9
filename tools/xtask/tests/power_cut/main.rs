//! The power-cut rig: the real engine on a real file system on a disk that records, and images of
//! that disk as power cuts may leave them.
//!
//! `cargo xtask power-cut` runs it; without arguments (`cargo test`) a few images are looked at.
//! Files: `supervisor` (stations side by side), `station` (a seed and its images), `recording` and
//! `load` (what is done while the disk records), `shape` (partitions and batches), `account` (what
//! an image must hold), `reading`, `machine` (file system, loop device), `disk` (the process below
//! it), `order` and `line` (what they tell each other).

mod account;
mod account_file;
mod disk;
mod line;
mod load;
mod machine;
mod order;
mod reading;
mod recording;
mod shape;
mod station;
mod supervisor;

use machine::FileSystem;
use millrace_engine::planted::{Bug, plant};
use std::path::Path;
use std::process::ExitCode;
use supervisor::Asked;

/// Images of a run that is asked for nothing else.
const IMAGES_DEFAULT: u64 = 12;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["--disks", name, "--bug", bug] => serve(name, bug),
        ["--station", name, "--bug", bug, folder] => station(name, bug, Path::new(folder)),
        _ => asked(&words).map(|asked| match supervisor::obstacle(asked.file_system) {
            Some(obstacle) => {
                println!("power-cut: not run: {obstacle}");
                true
            }
            None => supervisor::supervise(&asked),
        }),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn serve(name: &str, bug: &str) -> Result<bool, String> {
    let station = ["--station", name, "--bug", bug];
    disk::serve(file_system(name)?.disk_bytes(), &station)
}

fn station(name: &str, bug: &str, folder: &Path) -> Result<bool, String> {
    let bug = Bug::ALL
        .into_iter()
        .find(|known| (*known as u8).to_string() == bug);
    let _planted = bug.map(plant);
    station::work(folder, file_system(name)?).map(|()| true)
}

fn file_system(name: &str) -> Result<FileSystem, String> {
    let all = [FileSystem::Ext4, FileSystem::Xfs];
    let found = all.into_iter().find(|known| known.name() == name);
    found.ok_or_else(|| format!("--fs {name}: ext4 or xfs"))
}

/// Words that mean nothing here are a test filter's.
fn asked(words: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked {
        images: IMAGES_DEFAULT,
        from: 0,
        file_system: FileSystem::Ext4,
        image: None,
        bug: 0,
    };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut value = || words.next().copied().unwrap_or_default();
        let number = |text: &str| text.parse().map_err(|_| format!("{word} wants a number"));
        match word {
            "--images" => asked.images = number(value())?,
            "--from" => asked.from = number(value())?,
            "--image" => asked.image = Some(number(value())?),
            "--bug" => asked.bug = number(value())?,
            "--fs" => asked.file_system = file_system(value())?,
            _ => {}
        }
    }
    Ok(asked)
}
