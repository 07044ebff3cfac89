//! The same tree with its objects under the other hash: every body is read once.

use std::collections::HashMap;

use sealstone_store::{Algorithm, ObjectId, Repository, tree::Tree, verity::Hasher};

use super::copied;
use crate::DeployError;

/// Hashes objects of a repository again, and remembers them.
pub(crate) struct OtherHash<'a> {
    repository: &'a Repository,
    algorithm: Algorithm,
    ids: HashMap<ObjectId, ObjectId>,
}

impl<'a> OtherHash<'a> {
    pub(crate) fn new(repository: &'a Repository, algorithm: Algorithm) -> Self {
        Self { repository, algorithm, ids: HashMap::new() }
    }

    /// The tree with objects of this algorithm only. The others have to be in the repository.
    pub(crate) fn tree(&mut self, tree: Tree) -> Result<Tree, DeployError> {
        if self.repository.algorithm() == self.algorithm {
            return Ok(tree);
        }
        copied(&tree, true, |object| self.object(object))
    }

    fn object(&mut self, object: ObjectId) -> Result<ObjectId, DeployError> {
        if object.algorithm() == self.algorithm {
            return Ok(object);
        }
        if let Some(known) = self.ids.get(&object) {
            return Ok(*known);
        }
        let mut hasher = Hasher::new(self.algorithm);
        self.repository.copy_object(&object, |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        let id = hasher.finish();
        self.ids.insert(object, id);
        Ok(id)
    }
}
