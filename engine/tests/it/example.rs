//! The example that the documentation names runs and finds what it was promised.

use std::path::PathBuf;
use std::process::Command;

/// The built example: `cargo test` builds it; whoever asks for one test binary alone gets it built
/// here.
fn survive_kill() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().unwrap().parent().unwrap();
    let example = profile.join("examples/survive_kill");
    if !example.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--offline", "--example", "survive_kill"]);
        assert!(build.status().unwrap().success());
    }
    example
}

#[test]
fn acknowledged_records_survive_the_kill_of_the_example() {
    let ended = Command::new(survive_kill()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}{complained}");
    assert!(said.contains("acknowledged"), "{said}{complained}");
}
