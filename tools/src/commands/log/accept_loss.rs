//! `millrace log accept-loss`: names what is lost, asks, and gives it up. The only way to give data
//! up: a start alone fences it, and readers of it are told.

use super::{FolderArgs, Names};
use anyhow::{Result, bail};
use millrace_engine::engine::EngineConfig;
use millrace_engine::engine::accept_loss::{AcceptedLoss, Question, accept_loss};
use std::io::{self, IsTerminal, Write};

/// Options.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    folders: FolderArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Memory for buffers, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory_mib: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let config = EngineConfig {
        journal_dir: args.folders.journal_dir.clone(),
        memory_bytes: args.memory_mib << 20,
        ..EngineConfig::new(&args.folders.data_dir)
    };
    if !args.folders.data_dir.is_dir() {
        bail!(
            "{} is no folder; give the broker's --data-dir",
            args.folders.data_dir.display()
        );
    }
    let is_yes = args.yes;
    match accept_loss(&config, |question| ask(question, is_yes))? {
        AcceptedLoss::NothingLost => println!("nothing is lost: everything can be read"),
        AcceptedLoss::Accepted(count) => println!("{count} ranges were given up"),
        AcceptedLoss::Declined => bail!("nothing was given up"),
    }
    Ok(())
}

fn ask(question: &Question, is_yes: bool) -> bool {
    match question {
        Question::Files(files) => {
            for file in files {
                let name = &file.name;
                match file.found_bytes {
                    None => println!("LOST journal/{name}: the file is missing"),
                    Some(found) if found < file.wanted_bytes => println!(
                        "LOST journal/{name}: has {found} bytes instead of {}",
                        file.wanted_bytes
                    ),
                    Some(_) => {}
                }
                for position in &file.unreadable {
                    println!("LOST journal/{name}: the block at {position} cannot be read");
                }
            }
            println!("which records that costs is named next");
            confirm("Go on without them?", is_yes)
        }
        Question::Records { losses, registry } => {
            let names = Names::read(registry);
            for loss in losses {
                let partition = names.partition(loss.topic_id, loss.index, loss.handle);
                let (first, last) = (loss.start_offset, loss.end_offset - 1);
                println!("LOST {partition}: offsets {first} to {last}");
            }
            confirm("Give them up? Readers will skip them, for ever.", is_yes)
        }
    }
}

fn confirm(question: &str, is_yes: bool) -> bool {
    if is_yes {
        return true;
    }
    if !io::stdin().is_terminal() {
        eprintln!("nobody is there to ask: give --yes");
        return false;
    }
    print!("{question} Type 'yes': ");
    let mut answer = String::new();
    let is_asked = io::stdout().flush().is_ok() && io::stdin().read_line(&mut answer).is_ok();
    is_asked && answer.trim() == "yes"
}
