//! The firmware's boot menu: an entry of ours in `Boot####`, first in `BootOrder`.
//!
//! What lives here: finding ours again, a free number, the order. Invariants: other entries and their order stay; done twice,
//! the second time changes nothing; the entry is written before the order that names it.

use super::{BOOT_ATTRIBUTES, BootOption, EfiVariables, GLOBAL_VENDOR, Variable, VariableName};
use crate::BootError;

/// What became of the firmware's menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootEntryChange {
    /// The entry's number: `Boot0001` is 1.
    pub number: u16,
    /// Whether anything was written.
    pub changed: bool,
}

/// Makes an entry the first of the firmware's menu: one that starts the same program is taken, else a new one made.
///
/// # Errors
/// When the firmware refuses, and [`BootError::NoSpace`] when it has no number left.
pub fn register_boot_entry(
    variables: &dyn EfiVariables,
    option: &BootOption,
) -> Result<BootEntryChange, BootError> {
    let names = variables.names()?;
    let mut numbers = Vec::new();
    let mut ours = None;
    for (name, number) in names.iter().filter_map(|name| Some((name, number_of(name)?))) {
        numbers.push(number);
        let Some(variable) = variables.read(name)? else { continue };
        if ours.is_none() && BootOption::parse(&variable.value).is_some_and(|other| other.starts_same(option))
        {
            ours = Some((number, variable));
        }
    }
    let number = match &ours {
        Some((number, _)) => *number,
        None => free(&numbers)?,
    };
    let wanted = Variable { attributes: BOOT_ATTRIBUTES, value: option.to_bytes()? };
    let mut changed = false;
    if ours.is_none_or(|(_, variable)| variable != wanted) {
        variables.write(&variable_of(number)?, &wanted)?;
        changed = true;
    }
    Ok(BootEntryChange { number, changed: put_first(variables, number)? || changed })
}

/// Puts a number first in the order.
fn put_first(variables: &dyn EfiVariables, number: u16) -> Result<bool, BootError> {
    let name = VariableName::new("BootOrder", GLOBAL_VENDOR)?;
    let value = variables.read(&name)?.map(|variable| variable.value).unwrap_or_default();
    let order: Vec<u16> = value.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    if order.first() == Some(&number) {
        return Ok(false);
    }
    let others = order.into_iter().filter(|other| *other != number);
    let value = [number].into_iter().chain(others).flat_map(u16::to_le_bytes).collect();
    variables.write(&name, &Variable { attributes: BOOT_ATTRIBUTES, value })?;
    Ok(true)
}

fn variable_of(number: u16) -> Result<VariableName, BootError> {
    VariableName::new(&format!("Boot{number:04X}"), GLOBAL_VENDOR)
}

fn number_of(name: &VariableName) -> Option<u16> {
    let hex = name.name().strip_prefix("Boot").filter(|_| name.vendor() == GLOBAL_VENDOR)?;
    let is_number = hex.len() == 4 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(hex, 16).ok().filter(|_| is_number)
}

fn free(taken: &[u16]) -> Result<u16, BootError> {
    (0..=u16::MAX).find(|number| !taken.contains(number)).ok_or_else(|| BootError::NoSpace {
        place: "the firmware's menu".into(),
        needed: 1,
        free: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BootPartitionId, MemoryVariables};

    fn option(guid: u8, path: &str) -> BootOption {
        let partition = BootPartitionId { number: 1, start: 2048, blocks: 4096, guid: [guid; 16] };
        BootOption { title: "Linux".into(), partition, path: path.into() }
    }

    fn order(variables: &MemoryVariables) -> Vec<u8> {
        let name = VariableName::new("BootOrder", GLOBAL_VENDOR).unwrap();
        variables.read(&name).unwrap().map(|variable| variable.value).unwrap_or_default()
    }

    #[test]
    fn ours_comes_first_once_and_others_stay_behind_it() {
        let variables = MemoryVariables::default();
        let foreign = Variable { attributes: BOOT_ATTRIBUTES, value: vec![1, 2, 3] };
        variables.write(&variable_of(0).unwrap(), &foreign).unwrap();
        let wanted = Variable { attributes: BOOT_ATTRIBUTES, value: vec![0, 0] };
        variables.write(&VariableName::new("BootOrder", GLOBAL_VENDOR).unwrap(), &wanted).unwrap();
        let first = option(1, "EFI/systemd/systemd-bootx64.efi");
        let made = register_boot_entry(&variables, &first).unwrap();
        assert_eq!(made, BootEntryChange { number: 1, changed: true });
        assert_eq!(order(&variables), [1, 0, 0, 0]);
        assert!(!register_boot_entry(&variables, &first).unwrap().changed);
        // The other disk of a RAID 1 has an entry of its own.
        let second = register_boot_entry(&variables, &option(2, &first.path)).unwrap();
        assert_eq!((second.number, order(&variables)), (2, vec![2, 0, 1, 0, 0, 0]));
        let again = register_boot_entry(&variables, &first).unwrap();
        assert_eq!((again.number, order(&variables)), (1, vec![1, 0, 2, 0, 0, 0]));
        assert_eq!(variables.read(&variable_of(0).unwrap()).unwrap(), Some(foreign));
        assert_eq!(variables.names().unwrap().len(), 4);
    }
}
