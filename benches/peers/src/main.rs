//! Measures Sealstone's import against its peers and against the floor.
//!
//! Lives here: the command line. What each part does is in its module; how to read the figures is in README.md.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::corpus::Corpus;
use crate::peer::{Bench, Peer};
use crate::results::Results;
use crate::work::Work;

mod chart;
mod check;
mod corpus;
mod floor;
mod image;
mod measure;
mod peer;
mod registry;
mod repository;
mod results;
mod scratch;
mod table;
mod work;

#[derive(Parser)]
#[command(
    name = "benches/peers/run",
    about = "Measures Sealstone's import against its peers and against the floor"
)]
struct Arguments {
    /// The folder of the corpus (about 7 GB; default: sealstone-peers in the user's cache folder)
    #[arg(long, global = true)]
    corpus: Option<PathBuf>,
    /// The file of results
    #[arg(long, global = true, default_value = "results.json")]
    results: PathBuf,
    /// Our command
    #[arg(long, global = true, default_value = "../../target/release/store")]
    store: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build the images and the tree with the peers' programs
    Corpus,
    /// Run the floor on a layout: read, decompress, hash, write, sync, and nothing else
    Floor {
        /// An OCI image layout of the corpus
        layout: PathBuf,
        /// An empty folder
        destination: PathBuf,
        /// Hash, but write nothing
        #[arg(long)]
        dry: bool,
    },
    /// Make the image of an imported layout from our repository's records
    Image {
        /// A repository that has it
        repository: PathBuf,
        /// The layout
        layout: PathBuf,
    },
    /// Measure, and add the runs to the results
    Run {
        /// Only these pieces of work
        #[arg(long, value_delimiter = ',')]
        work: Vec<Work>,
        /// Only these programs
        #[arg(long, value_delimiter = ',')]
        peer: Vec<Peer>,
        /// How often; each round runs every program once
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Print the results as a Markdown table
    Table,
    /// Draw the results
    Chart {
        /// The SVG file
        #[arg(default_value = "../../docs/performance.svg")]
        file: PathBuf,
    },
    /// Cross-check our repository against composefs-oci's
    Check {
        /// Images of the corpus
        #[arg(default_values = ["tiny", "os"])]
        images: Vec<String>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let root = std::path::absolute(arguments.corpus.unwrap_or_else(corpus::default_root))?;
    let corpus = Corpus::new(root);
    match arguments.verb {
        Verb::Corpus => corpus.build(),
        Verb::Floor { layout, destination, dry } => floor::run(&layout, &destination, dry),
        Verb::Image { repository, layout } => image::make(&repository, &layout),
        Verb::Run { work, peer, rounds } => {
            let works = if work.is_empty() { Work::value_variants().to_vec() } else { work };
            run(&Bench::new(corpus, arguments.store)?, &arguments.results, &works, &peer, rounds)
        }
        Verb::Table => {
            print!("{}", table::markdown(&Results::open(&arguments.results)?));
            Ok(())
        }
        Verb::Chart { file } => chart::draw(&Results::open(&arguments.results)?, &file),
        Verb::Check { images } => {
            let bench = Bench::new(corpus, arguments.store)?;
            images.iter().try_for_each(|image| check::check(&bench, image))
        }
    }
}

/// Rounds of interleaved runs; each run is saved when it is done.
fn run(bench: &Bench, path: &Path, works: &[Work], only: &[Peer], rounds: usize) -> Result<()> {
    let mut results = Results::open(path)?;
    let first = results.runs.iter().map(|run| run.round + 1).max().unwrap_or(0);
    for round in first..first + rounds {
        for work in works {
            for peer in work.peers().iter().filter(|peer| only.is_empty() || only.contains(peer)) {
                let run = work::run(bench, *work, *peer, round)?;
                let cost = &run.cost;
                println!(
                    "{} | {} | wall {:.2} s, CPU {:.2} s ({:.2} sys), {:.0} MiB, {} files",
                    work.label(),
                    peer.label(),
                    cost.wall,
                    cost.cpu(),
                    cost.sys,
                    cost.rss,
                    run.files
                );
                results.runs.push(run);
                results.save(path)?;
            }
        }
    }
    Ok(())
}
