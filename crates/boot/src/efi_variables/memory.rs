//! Variables in memory: for tests, and for looking at what would be written.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{EfiVariables, Variable, VariableName};
use crate::BootError;

/// Variables that last as long as this.
#[derive(Debug, Default)]
pub struct MemoryVariables(Mutex<BTreeMap<VariableName, Variable>>);

impl MemoryVariables {
    fn all(&self) -> MutexGuard<'_, BTreeMap<VariableName, Variable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EfiVariables for MemoryVariables {
    fn names(&self) -> Result<Vec<VariableName>, BootError> {
        Ok(self.all().keys().cloned().collect())
    }

    fn read(&self, name: &VariableName) -> Result<Option<Variable>, BootError> {
        Ok(self.all().get(name).cloned())
    }

    fn write(&self, name: &VariableName, variable: &Variable) -> Result<(), BootError> {
        self.all().insert(name.clone(), variable.clone());
        Ok(())
    }

    fn remove(&self, name: &VariableName) -> Result<(), BootError> {
        self.all().remove(name);
        Ok(())
    }
}
