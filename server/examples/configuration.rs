//! Prints docs/configuration.md; `cargo xtask configuration` puts it there.

fn main() {
    print!("{}", millrace_server::config::reference::markdown());
}
