//! What a system lacks to boot, found by looking at the files of sysroot and boot partition, without the libraries.

use std::fs;
use std::path::Path;

/// Where a system is, and what tells that its `/etc` is its own.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The sysroot, relative to the folder; the boot partition is `esp`.
    pub sysroot: &'a str,
    /// A file of `/etc`, and its text.
    pub etc: (&'a str, &'a str),
}

impl Place<'_> {
    /// What is missing, if anything, of a system that boots by an entry whose text `is_entry`: an entry that is whole, its
    /// kernel, its image, its `/etc`.
    pub fn missing(&self, folder: &Path, is_entry: impl Fn(&str) -> bool) -> Option<String> {
        let entries =
            fs::read_dir(folder.join("esp/loader/entries")).ok()?.map(|entry| entry.unwrap().path());
        let texts: Vec<String> = entries.map(|path| fs::read_to_string(path).unwrap()).collect();
        let mut faults = vec!["no entry".to_owned()];
        for text in texts.iter().filter(|text| is_entry(text)) {
            match self.fault_of(folder, text) {
                None => return None,
                Some(fault) => faults.push(fault),
            }
        }
        Some(faults.join(", "))
    }

    fn fault_of(&self, folder: &Path, text: &str) -> Option<String> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let kernel = match (value("linux "), value("initrd "), value("uki ")) {
            (Some(linux), Some(initrd), None) => vec![linux, initrd],
            (None, None, Some(uki)) => vec![uki],
            _ => return Some("the entry is torn".to_owned()),
        };
        for file in &kernel {
            let file = folder.join("esp").join(file.trim_start_matches('/'));
            if fs::metadata(&file).map_or(0, |file| file.len()) == 0 {
                return Some(format!("{} is not there", file.display()));
            }
        }
        let Some(id) = image_of(value("options "), kernel.last().copied()) else {
            return Some("no image is named".to_owned());
        };
        let sysroot = folder.join(self.sysroot);
        if !sysroot.join("composefs/images").join(id).exists() {
            return Some(format!("the image {id} is not there"));
        }
        let (file, expected) = self.etc;
        let etc = fs::read_to_string(sysroot.join(format!("state/deploy/{id}/etc/{file}")));
        (etc.ok().as_deref() != Some(expected)).then(|| "its /etc is not its own".to_owned())
    }
}

/// The image of an argument `composefs=[?]ID` or `composefs.digest=[?]v1-sha256-12:ID`; of a unified kernel image, whose
/// arguments are in it, by bootc's name of the file.
fn image_of<'a>(options: Option<&'a str>, file: Option<&'a str>) -> Option<&'a str> {
    if let Some(options) = options {
        let karg = options.split_whitespace().find(|karg| karg.starts_with("composefs"))?;
        return karg.rsplit(['=', '?', ':']).next();
    }
    file?.strip_suffix(".efi")?.rsplit('-').next()
}
