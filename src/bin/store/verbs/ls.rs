//! `store ls IMAGE [PATH]`: files in an image.

use sealstone::store::tree::{FileType, InodeId, Tree, TreeError};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::OpenImage;
use crate::output::file::{FileDocument, columns, decorated};
use crate::output::{Table, write_document};

/// List files in an image
///
/// Folders end with a slash, links show their target. A PATH that is a link to a folder lists the folder, with --long the
/// link itself, as ls does. Characters that could drive the terminal are shown as \xNN.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store ls os:1                  # the root
  store ls -l os:1 /usr/bin
  store ls -R --json os:1 /etc   # every attribute, the object of each file")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    /// A file or a folder; links are followed inside the image
    #[arg(default_value = "/", hide_default_value = true)]
    path: String,
    /// Show mode, owner, size and time
    #[arg(short, long)]
    long: bool,
    /// List folders with all that is below them, by path
    #[arg(short = 'R', long)]
    recursive: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.ls/1`.
#[derive(Serialize)]
struct Document {
    image: String,
    files: Vec<FileDocument>,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let image = OpenImage::open(context, &args.image)?;
    let tree = &image.tree;
    let top = top(tree, args)?;
    let files = select(tree, top, args);
    context.print(|out, terminal| {
        if args.reporting.json {
            let files = files.iter().map(|(path, inode)| FileDocument::new(tree, path, *inode)).collect();
            return write_document(
                out,
                "sealstone.ls/1",
                &Document { image: image.found.image.to_string(), files },
            );
        }
        if !args.long {
            return files
                .iter()
                .try_for_each(|(name, inode)| writeln!(out, "{}", decorated(tree, name, *inode)));
        }
        let mut table =
            Table::new().left("MODE").left("OWNER").right("SIZE").left("MODIFIED").left("NAME").elastic();
        for (name, inode) in &files {
            let [mode, owner, size, time] = columns(tree, *inode);
            table.row([mode, owner, size, time, decorated(tree, name, *inode)]);
        }
        table.write(out, terminal)
    })?;
    Ok(Exit::Done)
}

/// What the path means. A link at its end is followed unless its attributes are asked for, or it leads nowhere, or not to a
/// folder: then the link is what there is to see. A slash after it always follows.
fn top(tree: &Tree, args: &Args) -> Result<InodeId, TreeError> {
    let path = args.path.as_bytes();
    if path.ends_with(b"/") {
        return tree.resolve(path);
    }
    let itself = tree.resolve_no_follow(path)?;
    if args.long {
        return Ok(itself);
    }
    let followed = tree.resolve(path).ok();
    Ok(followed.filter(|inode| tree.file_type(*inode) == FileType::Directory).unwrap_or(itself))
}

/// What to list: names in a folder, or paths where names would not tell.
fn select(tree: &Tree, top: InodeId, args: &Args) -> Vec<(Vec<u8>, InodeId)> {
    let by_path = args.recursive || args.reporting.json;
    if tree.file_type(top) != FileType::Directory {
        return vec![(args.path.clone().into_bytes(), top)];
    }
    let mut path = vec![b'/'];
    path.extend_from_slice(args.path.trim_matches('/').as_bytes());
    if args.recursive {
        let mut walk = tree.walk_from(top, &path);
        let mut files = Vec::new();
        while let Some((path, inode)) = walk.next_entry() {
            files.push((path.to_vec(), inode));
        }
        return files;
    }
    let prefix = if by_path && path.len() > 1 { [&path, &b"/"[..]].concat() } else { path };
    let named = |name: &[u8]| if by_path { [&prefix, name].concat() } else { name.to_vec() };
    tree.entries(top).map(|(name, inode)| (named(name), inode)).collect()
}
