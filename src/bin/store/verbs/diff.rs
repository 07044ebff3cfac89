//! `store diff A B`: which paths differ between two images, and in what. `--explain` is in `diff_explain.rs`.

use std::fmt::Write as _;

use sealstone::import::catalogue::Catalogue;
use sealstone::store::tree::{Attribute, Change, Difference, FileType, InodeId, Tree};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::read_tree;
use crate::output::file::{size, time_text, type_name};
use crate::output::{Bytes, Terminal, escape, write_document};

use super::diff_explain;

/// List what differs between two images, and why
///
/// A is added, D is deleted, M is modified, with the reasons: type, content, target, device, mode, owner, group, time, and
/// extended attributes by name. A hardlink's every name is compared.
///
/// With `--explain`, say why the digest of A is not that of B: by which known way of making an image the files of B give A, or
/// which path differs first. Each is an image of the repository, a digest, a kernel argument with one, or the path of a dump.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store diff os:1 os:2
  store diff --ignore-time os:1 os:2 | grep /etc
  store diff --exit-code --json os:1 os:2
  store diff --explain composefs=5f0c… os:1      # the digest of a UKI, and the image that it is in
  store diff --explain ./build.dump os:1")]
pub struct Args {
    /// The image to compare with
    before: String,
    /// The image that is compared
    after: String,
    /// Say why the digests differ
    #[arg(long, conflicts_with = "ignore_time")]
    explain: bool,
    /// Do not report modification times
    #[arg(long)]
    ignore_time: bool,
    /// End with 1 if the images differ, as git does
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.diff/1`.
#[derive(Serialize)]
struct Document {
    before: String,
    after: String,
    differences: Vec<DifferenceDocument>,
}

#[derive(Serialize)]
struct DifferenceDocument {
    path: String,
    change: &'static str,
    attributes: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if args.explain {
        let Args { before, after, reporting, exit_code, .. } = args;
        return diff_explain::run(before, after, reporting.json, *exit_code, context);
    }
    let repository = context.open_repository()?;
    let catalogue = Catalogue::read(&repository)?;
    let [before, after] = [catalogue.find(&args.before)?.image, catalogue.find(&args.after)?.image];
    let trees = (read_tree(&repository, &before)?, read_tree(&repository, &after)?);
    let differences: Vec<Difference> = trees.0.diff(&trees.1).filter_map(|found| keep(found, args)).collect();
    context.print(|out, terminal| {
        if args.reporting.json {
            let differences = differences.iter().map(document).collect();
            let document = Document { before: before.to_string(), after: after.to_string(), differences };
            return write_document(out, "sealstone.diff/1", &document);
        }
        for difference in &differences {
            writeln!(out, "{}", line(difference, &trees.0, &trees.1, terminal))?;
        }
        Ok(())
    })?;
    Ok(if args.exit_code && !differences.is_empty() { Exit::Failed } else { Exit::Done })
}

/// Drops the time where it was not asked for, and a difference that was nothing else.
fn keep(mut difference: Difference, args: &Args) -> Option<Difference> {
    if let (true, Change::Changed { attributes, .. }) = (args.ignore_time, &mut difference.change) {
        attributes.retain(|attribute| *attribute != Attribute::Time);
        if attributes.is_empty() {
            return None;
        }
    }
    Some(difference)
}

fn line(difference: &Difference, before: &Tree, after: &Tree, terminal: Terminal) -> String {
    let path = escape(&difference.path);
    match &difference.change {
        Change::Added(inode) => {
            format!("{}  {path}{}", terminal.good("A"), terminal.dim(&what(after, *inode)))
        }
        Change::Removed(inode) => {
            format!("{}  {path}{}", terminal.bad("D"), terminal.dim(&what(before, *inode)))
        }
        Change::Changed { before: old, after: new, attributes } => {
            let reasons = attributes.iter().map(|attribute| reason(attribute, (before, *old), (after, *new)));
            let reasons = reasons.collect::<Vec<_>>().join(", ");
            format!("{}  {path}  {}", terminal.warning("M"), terminal.dim(&reasons))
        }
    }
}

/// What came or went: nothing for a folder, whose path says enough.
fn what(tree: &Tree, inode: InodeId) -> String {
    match tree.file_type(inode) {
        FileType::Directory => "/".to_owned(),
        FileType::Regular => format!("  {}", Bytes(size(tree.content(inode)))),
        other => format!("  {}", type_name(other)),
    }
}

type Side<'a> = (&'a Tree, InodeId);

fn reason(attribute: &Attribute, (before, old): Side<'_>, (after, new): Side<'_>) -> String {
    let (was, is) = (before.metadata(old), after.metadata(new));
    match attribute {
        Attribute::Type => {
            format!("{} to {}", type_name(before.file_type(old)), type_name(after.file_type(new)))
        }
        Attribute::Content => {
            let (was, is) = (size(before.content(old)), size(after.content(new)));
            let mut text = "content".to_owned();
            if was != is {
                let _ = write!(text, " {} to {}", Bytes(was), Bytes(is));
            }
            text
        }
        Attribute::Mode => format!("mode {:04o} to {:04o}", was.mode, is.mode),
        Attribute::Owner => format!("owner {} to {}", was.uid, is.uid),
        Attribute::Group => format!("group {} to {}", was.gid, is.gid),
        Attribute::Time => format!("time {} to {}", time_text(was.mtime), time_text(is.mtime)),
        other => name(other),
    }
}

/// An attribute's word in JSON.
fn name(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Type => "type".to_owned(),
        Attribute::Content => "content".to_owned(),
        Attribute::Target => "target".to_owned(),
        Attribute::Device => "device".to_owned(),
        Attribute::Mode => "mode".to_owned(),
        Attribute::Owner => "owner".to_owned(),
        Attribute::Group => "group".to_owned(),
        Attribute::Time => "time".to_owned(),
        Attribute::Xattr(name) => format!("xattr {}", escape(name)),
        _ => "other".to_owned(),
    }
}

fn document(difference: &Difference) -> DifferenceDocument {
    let (change, attributes) = match &difference.change {
        Change::Added(_) => ("added", Vec::new()),
        Change::Removed(_) => ("removed", Vec::new()),
        Change::Changed { attributes, .. } => ("changed", attributes.iter().map(name).collect()),
    };
    DifferenceDocument { path: escape(&difference.path), change, attributes }
}
