//! Why a digest is not the one that an image has: which known way to make an image gives it, or where the files differ.
//!
//! What lives here: the search among [`Recipe`]s, nearest first. What does not: how a recipe makes a tree, and what reads
//! digests out of UKIs and command lines. Nothing is written.
//! Costs: a tree and two images for each of some eighty recipes; for a digest of the other algorithm than the
//! repository's, every object of the image is read once.

mod first;
#[cfg(test)]
mod tests;

use std::fmt;

use sealstone_import::layer_tree::LayerTree;
use sealstone_store::{
    Control, ObjectId, Repository,
    erofs::{self, Version},
    tree::Tree,
    verity,
};

pub use first::FirstDifference;

use crate::{
    DeployError, Profile,
    recipe::{Basis, Departure, OtherHash, Recipe},
};

/// Why a digest is, or is not, that of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The digest that was to be explained.
    pub wanted: ObjectId,
    /// How the image is made here.
    pub expected: Recipe,
    /// The digest that this gives, of the same algorithm; none when the files make no such image.
    pub expected_id: Option<ObjectId>,
    /// What the search found.
    pub cause: Cause,
    /// How many images were made and hashed for it.
    pub tried: u32,
}

/// What explains a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It is the digest of the image as it is made here.
    Same,
    /// It is that of the same files, made otherwise.
    Recipe(Recipe),
    /// No known recipe gives it, and the other image is known: where it differs.
    Files {
        /// The recipe by which the fewest paths differ.
        nearest: Recipe,
        /// How many paths differ then.
        paths: usize,
        /// The first of them.
        first: FirstDifference,
    },
    /// No known recipe gives it, so the files are others; which, the digest alone does not say.
    Unknown,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, expected, expected_id, cause, tried } = self;
        let expected_id = expected_id.map_or_else(|| "no image".to_owned(), |id| id.to_hex());
        match cause {
            Cause::Same => write!(f, "{wanted} is the digest of this image ({expected})"),
            Cause::Recipe(recipe) => {
                write!(f, "{wanted} is the digest of the same files made otherwise: {recipe}; ")?;
                write!(f, "here they are made so: {expected}, which gives {expected_id}")
            }
            Cause::Files { nearest, paths, first } => {
                write!(f, "the files differ in {paths} path{} ", if *paths == 1 { "" } else { "s" })?;
                write!(f, "(compared by: {nearest}), first {first}")
            }
            Cause::Unknown => {
                write!(f, "none of {tried} known ways to make an image of these files gives {wanted}, ")?;
                write!(f, "so the files are others; {expected} gives {expected_id}")
            }
        }
    }
}

/// A digest to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Puzzle<'a> {
    /// What has the objects of the image: files of its SELinux policy, and bodies to be hashed by the other algorithm.
    pub repository: &'a Repository,
    /// What the image is made of here.
    pub basis: Basis<'a>,
    /// How.
    pub profile: Option<Profile>,
    /// The digest that was met instead.
    pub wanted: ObjectId,
    /// The tree of the image that has this digest, where it is known.
    pub theirs: Option<&'a Tree>,
}

/// Explains why a bootable image of these layers, the lowest first, has another digest than `wanted`: for a UKI whose
/// command line demands it.
///
/// # Errors
/// Those of a merge, [`sealstone_store::Error::Missing`] for objects that the repository lacks, and cancellation.
pub fn explain_digest(
    repository: &Repository,
    layers: &[&LayerTree],
    wanted: &ObjectId,
    control: &Control,
) -> Result<Explanation, DeployError> {
    let (basis, profile) = (Basis::Layers(layers), Some(Profile::Bootable));
    Puzzle { repository, basis, profile, wanted: *wanted, theirs: None }.explain(control)
}

impl Puzzle<'_> {
    /// Searches.
    ///
    /// # Errors
    /// As [`explain_digest`].
    pub fn explain(&self, control: &Control) -> Result<Explanation, DeployError> {
        let hash = OtherHash::new(self.repository, self.wanted.algorithm());
        let mut search = Search { puzzle: self, hash, tried: 0, expected: None, nearest: None };
        let found = search.run(control)?;
        let expected = self.expected();
        let cause = match found {
            Some(recipe) if recipe == expected => Cause::Same,
            Some(recipe) => Cause::Recipe(recipe),
            None => search.nearest.map_or(Cause::Unknown, |nearest| nearest.cause),
        };
        let (expected_id, tried) = (search.expected, search.tried);
        Ok(Explanation { wanted: self.wanted, expected, expected_id, cause, tried })
    }

    const fn expected(&self) -> Recipe {
        Recipe { profile: self.profile, departures: Vec::new(), version: Version::V1 }
    }

    /// Every recipe worth a try, those nearest to what is expected first, without a version.
    fn recipes(&self) -> impl Iterator<Item = Recipe> + use<> {
        let mut profiles = vec![self.profile];
        let all = [Some(Profile::Bootable), Some(Profile::Oci), Some(Profile::OciPlain), None];
        profiles.extend(all.into_iter().filter(|profile| *profile != self.profile));
        let mut departures = vec![Vec::new()];
        departures.extend(Departure::ALL.map(|one| vec![one]));
        for (number, one) in Departure::ALL.iter().enumerate() {
            departures.extend(Departure::ALL.iter().skip(number + 1).map(|other| vec![*one, *other]));
        }
        let recipe = |(departures, profile): (Vec<Departure>, Option<Profile>)| Recipe {
            profile,
            departures,
            version: Version::V1,
        };
        let with_profiles = move |departures: Vec<Departure>| {
            profiles.clone().into_iter().map(move |profile| (departures.clone(), profile))
        };
        let (expected, all) = (self.profile, departures.into_iter().flat_map(with_profiles).map(recipe));
        // Two departures at once are tried from what is expected alone: there are many.
        let is_near = move |recipe: &Recipe| recipe.departures.len() < 2 || recipe.profile == expected;
        all.filter(is_near).filter(Recipe::is_sensible)
    }
}

struct Nearest {
    paths: usize,
    cause: Cause,
}

struct Search<'a, 'p> {
    puzzle: &'p Puzzle<'a>,
    hash: OtherHash<'a>,
    tried: u32,
    expected: Option<ObjectId>,
    nearest: Option<Nearest>,
}

impl Search<'_, '_> {
    fn run(&mut self, control: &Control) -> Result<Option<Recipe>, DeployError> {
        let (expected, wanted) = (self.puzzle.expected(), self.puzzle.wanted);
        for recipe in self.puzzle.recipes() {
            control.check().map_err(sealstone_store::Error::from)?;
            let Some(tree) = self.tree(&recipe)? else { continue };
            for version in Version::ALL {
                let recipe = Recipe { version, ..recipe.clone() };
                // Contents that the format does not hold.
                let Ok(image) = erofs::write_version(&tree, version) else { continue };
                self.tried += 1;
                let id = verity::digest(wanted.algorithm(), &image);
                if recipe == expected {
                    self.expected = Some(id);
                }
                if id == wanted {
                    return Ok(Some(recipe));
                }
            }
            self.compare(&recipe, &tree);
        }
        Ok(None)
    }

    /// The tree by a recipe, in objects of the wanted digest's algorithm; none when the files are not fit for it.
    fn tree(&mut self, recipe: &Recipe) -> Result<Option<Tree>, DeployError> {
        let Puzzle { repository, basis, .. } = *self.puzzle;
        let read = |object: &ObjectId, limit| Ok(repository.read_object(object, limit)?);
        let tree = match recipe.make(basis, &read) {
            Err(DeployError::Unfit { .. } | DeployError::Policy { .. }) => return Ok(None),
            tree => tree?,
        };
        self.hash.tree(tree).map(Some)
    }

    /// Takes note of a tree that is nearer to the other one than those before. With two departures, the files of a
    /// different image would seldom be nearer than by chance.
    fn compare(&mut self, recipe: &Recipe, tree: &Tree) {
        let Some(theirs) = self.puzzle.theirs.filter(|_| recipe.departures.len() < 2) else { return };
        let most = self.nearest.as_ref().map_or(usize::MAX, |nearest| nearest.paths);
        let paths = tree.diff(theirs).take(most).count();
        if paths >= most {
            return;
        }
        if let Some(first) = FirstDifference::find(tree, theirs) {
            let paths = paths.max(1);
            self.nearest =
                Some(Nearest { paths, cause: Cause::Files { nearest: recipe.clone(), paths, first } });
        }
    }
}
