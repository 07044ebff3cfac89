//! Finding what a reference means in a layout's `index.json` (image-spec, image-layout.md).

use super::Choice;
use crate::{
    error::{ImportError, Result, few},
    oci::{Descriptor, Index},
};

/// The descriptors that `choice` means: one, or several that differ by platform.
pub(super) fn select(index: Index, choice: &Choice, place: &str) -> Result<Vec<Descriptor>> {
    let all = index.manifests;
    match choice {
        Choice::Index(at) => all.get(*at).map(|one| vec![one.clone()]).ok_or_else(|| ImportError::Missing {
            what: format!("image at @{at} (it has {})", all.len()),
            place: place.to_owned(),
        }),
        Choice::Tag(tag) => {
            let choices = choices(&all);
            let named: Vec<_> = all.into_iter().filter(|one| one.ref_name() == Some(tag.as_str())).collect();
            if named.is_empty() {
                let what = format!("image {tag:?} (it has: {})", choices.join(", "));
                return Err(ImportError::Missing { what, place: place.to_owned() });
            }
            unambiguous(named, place)
        }
        Choice::Only if all.is_empty() => {
            Err(ImportError::Missing { what: "image".to_owned(), place: place.to_owned() })
        }
        Choice::Only => unambiguous(all, place),
    }
}

/// Several are fine only as one image's platforms: each says its own, and none has another tag.
fn unambiguous(found: Vec<Descriptor>, place: &str) -> Result<Vec<Descriptor>> {
    let first = found.first().and_then(Descriptor::ref_name);
    let one_image = found.iter().all(|one| one.platform().is_some() && one.ref_name() == first);
    if found.len() == 1 || one_image {
        Ok(found)
    } else {
        Err(ImportError::Ambiguous { place: place.to_owned(), choices: choices(&found) })
    }
}

fn choices(found: &[Descriptor]) -> Vec<String> {
    let name =
        |(at, one): (usize, &Descriptor)| one.ref_name().map_or_else(|| format!("@{at}"), str::to_owned);
    few(found.iter().enumerate().map(name))
}
