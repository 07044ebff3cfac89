//! `store diff --explain A B`: why the digest of A is not that of B.

use sealstone::boot::{ComposefsArg, Karg};
use sealstone::deploy::{Basis, Cause, Departure, Explanation, Profile, Puzzle, Recipe, stored_layers};
use sealstone::import::catalogue::{Catalogue, FoundImage};
use sealstone::import::layer_tree::LayerTree;
use sealstone::store::disk::{File, RealDisk};
use sealstone::store::erofs;
use sealstone::store::tree::Tree;
use sealstone::store::{ObjectId, Optional, Repository, dump, verity};
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::image::read_tree;
use crate::output::write_document;

/// The most bytes of a dump that are read.
const DUMP_MAX: u64 = 1 << 30;

/// The answer, `sealstone.explain/1`.
#[derive(Serialize)]
struct Document {
    wanted: String,
    cause: &'static str,
    expected: RecipeDocument,
    expected_id: Option<String>,
    recipe: Option<RecipeDocument>,
    paths: Option<usize>,
    first: Option<FirstDocument>,
    tried: u32,
    text: String,
}

#[derive(Serialize)]
struct RecipeDocument {
    profile: Option<Profile>,
    erofs: String,
    departures: Vec<&'static str>,
}

#[derive(Serialize)]
struct FirstDocument {
    path: String,
    what: String,
    ours: String,
    theirs: String,
}

/// What one of the two arguments is.
enum Side {
    /// A digest, of which nothing else is known here.
    Digest(ObjectId),
    /// An image whose files are known.
    Files(Box<Files>),
}

struct Files {
    id: ObjectId,
    tree: Tree,
    /// Of an imported image.
    layers: Vec<LayerTree>,
    profile: Option<Profile>,
}

pub fn run(
    before: &str,
    after: &str,
    json: bool,
    exit_code: bool,
    context: &Context,
) -> anyhow::Result<Exit> {
    let repository = context.open_repository()?;
    let catalogue = Catalogue::read(&repository)?;
    let [before, after] = [side(before, &repository, &catalogue)?, side(after, &repository, &catalogue)?];
    let (wanted, theirs, ours) = match (before, after) {
        (Side::Digest(wanted), Side::Files(ours)) | (Side::Files(ours), Side::Digest(wanted)) => {
            (wanted, None, ours)
        }
        (Side::Files(theirs), Side::Files(ours)) => (theirs.id, Some(theirs.tree), ours),
        (Side::Digest(_), Side::Digest(_)) => {
            anyhow::bail!("neither is an image of the repository or a dump: two digests alone say nothing")
        }
    };
    let layers: Vec<&LayerTree> = ours.layers.iter().collect();
    let basis = if layers.is_empty() { Basis::Tree(&ours.tree) } else { Basis::Layers(&layers) };
    let puzzle =
        Puzzle { repository: &repository, basis, profile: ours.profile, wanted, theirs: theirs.as_ref() };
    let explanation = puzzle.explain(context.control()?)?;
    context.print(|out, _| {
        if json {
            return write_document(out, "sealstone.explain/1", &document(&explanation));
        }
        writeln!(out, "{explanation}")
    })?;
    Ok(if exit_code && explanation.cause != Cause::Same { Exit::Failed } else { Exit::Done })
}

/// A digest, a kernel argument with one, the path of a dump, or an image of the repository.
fn side(text: &str, repository: &Repository, catalogue: &Catalogue) -> anyhow::Result<Side> {
    if let Some(image) = text.parse::<Karg>().ok().filter(ComposefsArg::is_named_by) {
        return known(*ComposefsArg::try_from(&image)?.image(), repository, catalogue);
    }
    if let Ok(id) = text.parse::<ObjectId>() {
        return known(id, repository, catalogue);
    }
    // A name may have a slash as well.
    if text.contains('/')
        && let Some(file) = File::open(&RealDisk::shared(), text).optional()?
    {
        let tree = dump::parse(&file.read_all(DUMP_MAX)?)?;
        let id = verity::digest(repository.algorithm(), &erofs::write(&tree)?);
        return Ok(Side::Files(Box::new(Files { id, tree, layers: Vec::new(), profile: None })));
    }
    files(catalogue.find(text)?, false, repository)
}

/// A digest, with its files where the repository has the image.
fn known(id: ObjectId, repository: &Repository, catalogue: &Catalogue) -> anyhow::Result<Side> {
    match catalogue.find(&id.to_hex()) {
        Ok(found) if found.image == id => files(found, true, repository),
        _ => Ok(Side::Digest(id)),
    }
}

/// An image of the repository; one that was named, and can boot, counts as its bootable image.
fn files(found: FoundImage, by_id: bool, repository: &Repository) -> anyhow::Result<Side> {
    let content = found.stored.and_then(|stored| stored.content.ok());
    let bootable = content.as_ref().and_then(|content| content.bootable);
    let id = if by_id { found.image } else { bootable.unwrap_or(found.image) };
    let tree = read_tree(repository, &id)?;
    let profile = if bootable == Some(id) { Profile::Bootable } else { Profile::of(&tree) };
    let (layers, profile) = match content {
        Some(content) => (stored_layers(repository, &content.diff_ids)?, Some(profile)),
        None => (Vec::new(), None),
    };
    Ok(Side::Files(Box::new(Files { id, tree, layers, profile })))
}

fn document(explanation: &Explanation) -> Document {
    let recipe = |recipe: &Recipe| RecipeDocument {
        profile: recipe.profile,
        erofs: recipe.version.to_string(),
        departures: recipe.departures.iter().copied().map(Departure::name).collect(),
    };
    let (cause, found, paths, first) = match &explanation.cause {
        Cause::Same => ("same", None, None, None),
        Cause::Recipe(found) => ("recipe", Some(found), None, None),
        Cause::Files { nearest, paths, first } => ("files", Some(nearest), Some(*paths), Some(first)),
        _ => ("unknown", None, None, None),
    };
    Document {
        wanted: explanation.wanted.to_hex(),
        cause,
        expected: recipe(&explanation.expected),
        expected_id: explanation.expected_id.map(|id| id.to_hex()),
        recipe: found.map(recipe),
        paths,
        first: first.map(|first| FirstDocument {
            path: first.path.clone(),
            what: first.what.clone(),
            ours: first.ours.clone(),
            theirs: first.theirs.clone(),
        }),
        tried: explanation.tried,
        text: explanation.to_string(),
    }
}
