//! What an administrator, or a named source, changes about the kernel arguments of a deployment.
//!
//! What lives here: the edits as pure functions of a list. What does not: which deployment, and its boot entry.
//! Invariants: an owner changes its own arguments only, but for the administrator, who may take away an image's; an edit
//! done twice is an edit done once.

use sealstone_boot::Karg;

use super::{
    Derived, SourceName,
    law::{append, is_of_image, names, refuse_reserved},
};
use crate::{
    DeployError,
    record::{KargOrigin, RecordedKarg},
};

/// Whose arguments are changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KargsOwner {
    /// The administrator.
    Caller,
    /// A named source.
    Source(SourceName),
}

impl KargsOwner {
    /// Where an argument of this owner comes from.
    #[must_use]
    pub fn origin(&self) -> KargOrigin {
        match self {
            Self::Caller => KargOrigin::Caller,
            Self::Source(name) => KargOrigin::Source { name: name.to_string() },
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KargsEdit {
    /// These arguments stand in the place of all that the owner has of the same keys.
    Set(Vec<Karg>),
    /// These go: `key=value` that one, `key` all of the key. The administrator's goes for an image's as well, for good.
    Unset(Vec<Karg>),
    /// All that the owner set go.
    Clear,
}

impl KargsEdit {
    /// The arguments after the change.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] for an argument that the deployment sets itself.
    pub fn edit(&self, owner: &KargsOwner, before: &Derived) -> Result<Derived, DeployError> {
        let mut after = before.clone();
        let origin = owner.origin();
        match self {
            Self::Set(kargs) => {
                kargs.iter().try_for_each(refuse_reserved)?;
                set(kargs, &origin, &mut after.kargs);
            }
            Self::Unset(unset) => {
                unset.iter().try_for_each(refuse_reserved)?;
                for delete in unset {
                    take(delete, owner, &mut after);
                }
            }
            Self::Clear => after.kargs.retain(|recorded| recorded.origin != origin),
        }
        Ok(after)
    }
}

impl KargsEdit {
    /// What of it finds nothing to take away, and why not, as sentences.
    #[must_use]
    pub fn misses(&self, owner: &KargsOwner, before: &Derived) -> Vec<String> {
        let Self::Unset(unset) = self else { return Vec::new() };
        let origin = owner.origin();
        let may_take = |recorded: &RecordedKarg| {
            recorded.origin == origin || (*owner == KargsOwner::Caller && is_of_image(recorded))
        };
        let miss = |delete: &&Karg| {
            let mut named = before.kargs.iter().filter(|recorded| names(delete, &recorded.karg)).peekable();
            let is_known = named.peek().is_some();
            let is_deleted = *owner == KargsOwner::Caller && before.deletes.contains(delete);
            if is_deleted || named.any(may_take) {
                return None;
            }
            Some(if is_known {
                format!("{delete} stays: another owner wants it, as `store kargs` lists")
            } else {
                format!("there is no argument {delete}")
            })
        };
        unset.iter().filter_map(|delete| miss(&delete)).collect()
    }
}

fn set(kargs: &[Karg], origin: &KargOrigin, list: &mut Vec<RecordedKarg>) {
    let replaced = |recorded: &RecordedKarg| {
        recorded.origin == *origin && kargs.iter().any(|karg| karg.has_key(recorded.karg.key()))
    };
    let there: Vec<&Karg> =
        list.iter().filter(|recorded| replaced(recorded)).map(|recorded| &recorded.karg).collect();
    // What is so already keeps its place.
    if there.len() == kargs.len() && there.iter().zip(kargs).all(|(there, wanted)| *there == wanted) {
        return;
    }
    list.retain(|recorded| !replaced(recorded));
    for karg in kargs {
        append(list, RecordedKarg { karg: karg.clone(), origin: origin.clone() });
    }
}

fn take(delete: &Karg, owner: &KargsOwner, after: &mut Derived) {
    let origin = owner.origin();
    after.kargs.retain(|recorded| recorded.origin != origin || !names(delete, &recorded.karg));
    if *owner != KargsOwner::Caller {
        return;
    }
    let before = after.kargs.len();
    after.kargs.retain(|recorded| !is_of_image(recorded) || !names(delete, &recorded.karg));
    if after.kargs.len() < before && !after.deletes.contains(delete) {
        after.deletes.push(delete.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kargs(texts: &[&str]) -> Vec<Karg> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn tuned() -> KargsOwner {
        KargsOwner::Source("tuned".parse().unwrap())
    }

    fn start() -> Derived {
        let image = KargOrigin::Image { file: "a.toml".into() };
        let list = [("quiet", image.clone()), ("console=tty0", image), ("console=ttyS0", KargOrigin::Caller)];
        let record =
            |(text, origin): (&str, KargOrigin)| RecordedKarg { karg: text.parse().unwrap(), origin };
        Derived { kargs: list.into_iter().map(record).collect(), deletes: Vec::new() }
    }

    fn line(derived: &Derived) -> String {
        derived.kargs.iter().map(|recorded| recorded.karg.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_set_replaces_the_owners_arguments_of_the_key_and_nobody_elses() {
        let set = KargsEdit::Set(kargs(&["console=hvc0", "ro"]));
        let after = set.edit(&KargsOwner::Caller, &start()).unwrap();
        assert_eq!(line(&after), "quiet console=tty0 console=hvc0 ro");
        let other = KargsEdit::Set(kargs(&["console=hvc1"])).edit(&tuned(), &after).unwrap();
        assert_eq!(line(&other), "quiet console=tty0 console=hvc0 ro console=hvc1");
        assert_eq!(set.edit(&KargsOwner::Caller, &other).unwrap(), other, "the second time changes nothing");
    }

    #[test]
    fn only_the_administrator_takes_away_what_an_image_wants_and_it_is_remembered() {
        let unset = KargsEdit::Unset(kargs(&["quiet", "console", "unknown"]));
        assert_eq!(unset.edit(&tuned(), &start()).unwrap(), start());
        let after = unset.edit(&KargsOwner::Caller, &start()).unwrap();
        assert_eq!(line(&after), "");
        assert_eq!(after.deletes, kargs(&["quiet", "console"]));
        assert_eq!(unset.edit(&KargsOwner::Caller, &after).unwrap(), after);
    }

    #[test]
    fn what_an_unset_finds_nothing_of_is_told() {
        let unset = KargsEdit::Unset(kargs(&["quiet", "console=ttyS0", "unknown"]));
        let told = unset.misses(&tuned(), &start());
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("quiet stays: another owner"), "{told:?}");
        assert_eq!(unset.misses(&KargsOwner::Caller, &start()), ["there is no argument unknown"]);
        let after = unset.edit(&KargsOwner::Caller, &start()).unwrap();
        let again = unset.misses(&KargsOwner::Caller, &after);
        assert!(!again.iter().any(|text| text.contains("quiet")), "it is deleted already: {again:?}");
    }

    #[test]
    fn clearing_takes_all_of_one_owner() {
        let after = KargsEdit::Set(kargs(&["a", "b=1"])).edit(&tuned(), &start()).unwrap();
        assert_eq!(KargsEdit::Clear.edit(&tuned(), &after).unwrap(), start());
    }

    #[test]
    fn the_arguments_that_name_the_image_are_not_to_be_edited() {
        for edit in [KargsEdit::Set(kargs(&["composefs=a"])), KargsEdit::Unset(kargs(&["composefs"]))] {
            assert!(edit.edit(&KargsOwner::Caller, &start()).is_err());
        }
    }
}
