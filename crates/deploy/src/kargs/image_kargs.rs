//! What an image says about kernel arguments and its installation, all files together.
//!
//! What lives here: reading them from the image's tree. What does not: what a deployment makes of them ([`derive`]).
//!
//! [`derive`]: super::derive

use sealstone_store::{Repository, tree::Tree};

use super::{Architecture, ConfigWarning, InstallConfig, KargsFile, files::toml_files};
use crate::{
    DeployError,
    image_tree::read_file,
    record::{KargOrigin, RecordedKarg},
};

/// Arguments for every deployment of the image.
const KARGS: &str = "/usr/lib/bootc/kargs.d";

/// The install configuration, lowest precedence first. `/run` is the fourth of systemd's, and no image has one.
const INSTALL: [&str; 3] = ["/usr/lib/bootc/install", "/usr/local/lib/bootc/install", "/etc/bootc/install"];

/// The most bytes of one file.
const FILE_MAX: u64 = 1 << 20;

/// What an image wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageKargs {
    /// What it wants of an installation.
    pub install: InstallConfig,
    /// The arguments for every deployment, in order.
    pub kargs: Vec<RecordedKarg>,
    /// What was passed over.
    pub warnings: Vec<ConfigWarning>,
}

impl ImageKargs {
    /// Reads the files of an image of this architecture. Where it is not known, files for certain ones are left out.
    ///
    /// # Errors
    /// [`DeployError::ImageFile`] when a file is wrong, [`DeployError::TooBig`], and the store's.
    pub fn read(
        repository: &Repository,
        tree: &Tree,
        architecture: Option<&Architecture>,
    ) -> Result<Self, DeployError> {
        let mut read = Self::default();
        let warnings = &mut read.warnings;
        for (file, inode) in toml_files(tree, &INSTALL, warnings) {
            let bytes = read_file(repository, tree, inode, &file, FILE_MAX)?;
            read.install.overlay(&file, &bytes, architecture, warnings)?;
        }
        for (file, inode) in toml_files(tree, &[KARGS], warnings) {
            let bytes = read_file(repository, tree, inode, &file, FILE_MAX)?;
            let parsed = KargsFile::parse(&file, &bytes, warnings)?;
            if parsed.is_for(architecture) {
                let origin = |karg| RecordedKarg { karg, origin: KargOrigin::Image { file: file.clone() } };
                read.kargs.extend(parsed.kargs.into_iter().map(origin));
            } else if architecture.is_none() {
                let reason = "the image's architecture is not known, and this is for certain ones".to_owned();
                warnings.push(ConfigWarning { file, line: 1, reason });
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        merge,
        testing::{Entry, Machine, file, layer, symlink},
    };

    fn read(entries: &[Entry], platform: Option<&str>) -> ImageKargs {
        let machine = Machine::new();
        let tree = merge(&[&layer(entries)]).unwrap();
        let architecture = platform.map(|platform| Architecture::of(&platform.parse().unwrap()));
        ImageKargs::read(&machine.target().repository, &tree, architecture.as_ref()).unwrap()
    }

    fn texts(kargs: &[RecordedKarg]) -> Vec<&str> {
        kargs.iter().map(|recorded| recorded.karg.as_str()).collect()
    }

    #[test]
    fn files_are_read_by_name_and_only_for_the_images_architecture() {
        let of = |name: &str, text: &str| file(&format!("usr/lib/bootc/kargs.d/{name}"), text);
        let entries = [
            of("20-b.toml", "kargs = ['b']"),
            of("10-a.toml", "kargs = ['a']"),
            of("30-arm.toml", "kargs = ['arm']\nmatch-architectures = ['aarch64']"),
            of("README", "not toml ["),
            of(".hidden.toml", "not toml ["),
        ];
        let amd64 = read(&entries, Some("linux/amd64"));
        assert_eq!(texts(&amd64.kargs), ["a", "b"]);
        let origin = KargOrigin::Image { file: "/usr/lib/bootc/kargs.d/10-a.toml".into() };
        assert_eq!(amd64.kargs[0].origin, origin);
        assert_eq!(amd64.warnings, []);
        assert_eq!(texts(&read(&entries, Some("linux/arm64")).kargs), ["a", "b", "arm"]);
        let unknown = read(&entries, None);
        assert_eq!(texts(&unknown.kargs), ["a", "b"]);
        assert!(unknown.warnings[0].file.ends_with("30-arm.toml"));
    }

    #[test]
    fn a_file_of_higher_precedence_masks_that_of_the_same_name() {
        let says = |folder: &str, name: &str, karg: &str| {
            file(&format!("{folder}/bootc/install/{name}"), &format!("[install]\nkargs = ['{karg}']"))
        };
        let entries = [
            says("usr/lib", "10.toml", "lib-10"),
            says("usr/lib", "20.toml", "lib-20"),
            says("usr/lib", "30.toml", "lib-30"),
            says("usr/local/lib", "20.toml", "local-20"),
            says("etc", "05.toml", "etc-05"),
            symlink("etc/bootc/install/30.toml", "/dev/null"),
            symlink("etc/bootc/install/40.toml", "/nowhere"),
        ];
        let found = read(&entries, Some("linux/amd64"));
        assert_eq!(texts(&found.install.kargs), ["etc-05", "lib-10", "local-20"]);
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert!(found.warnings[0].to_string().contains("leads nowhere"));
    }

    #[test]
    fn links_are_followed_inside_the_image_alone() {
        let entries = [
            file("usr/share/kargs", "kargs = ['inside']"),
            symlink("usr/lib/bootc/kargs.d/a.toml", "/usr/share/kargs"),
            symlink("usr/lib/bootc/kargs.d/b.toml", "../../../../../../../usr/share/kargs"),
        ];
        assert_eq!(texts(&read(&entries, None).kargs), ["inside", "inside"]);
    }

    #[test]
    fn an_image_without_any_file_says_nothing() {
        assert_eq!(read(&[file("usr/bin/sh", "")], None), ImageKargs::default());
    }
}
