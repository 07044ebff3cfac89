//! Where the configuration of the root is read: in the initramfs, then in the image itself.
//!
//! What lives here: the order. What does not: what the files say (`RootConf` of the boot crate).
//! bootc reads the initramfs alone, so that a change needs a new one; the image's own file is as trusted as its bytes.

use sealstone_boot::RootConf;
use sealstone_store::{
    Optional,
    disk::{Access, Dir, Resolve},
};

use crate::SetupError;

/// Reads the first file that is there.
pub(crate) fn read(initramfs: Option<&Dir>, image: &Dir) -> Result<RootConf, SetupError> {
    for file in RootConf::FILES {
        for root in initramfs.into_iter().chain([image]) {
            let name = file.trim_start_matches('/');
            let found = root.open_file_with(name, Access::Read, Resolve::InRoot).optional()?;
            if let Some(found) = found {
                let text = found.read_all(RootConf::FILE_MAX)?;
                return Ok(RootConf::parse(file, &String::from_utf8_lossy(&text))?);
            }
        }
    }
    Ok(RootConf::default())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sealstone_boot::{MountKind, RootKind};
    use sealstone_store::disk::RealDisk;

    use super::*;

    #[test]
    fn the_initramfs_goes_before_the_image_and_composefs_before_ostree() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Dir::open(&RealDisk::shared(), folder.path().join(name)).unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("initramfs/etc/x", "");
        write("image/etc/x", "");
        let (initramfs, image) = (open("initramfs"), open("image"));
        let read = || read(Some(&initramfs), &image).unwrap();
        assert_eq!(read(), RootConf::default());
        write("initramfs/usr/lib/ostree/prepare-root.conf", "[root]\ntransient=true\n");
        assert_eq!(read().root, RootKind::Transient);
        write("image/usr/lib/composefs/setup-root-conf.toml", "[etc]\nmount = \"overlay\"\n");
        assert_eq!((read().root, read().etc), (RootKind::Image, MountKind::Overlay));
        write("initramfs/usr/lib/composefs/setup-root-conf.toml", "[etc]\nmount = \"transient\"\n");
        assert_eq!(read().etc, MountKind::Transient);
        assert_eq!(super::read(None, &image).unwrap().etc, MountKind::Overlay);
        write("initramfs/usr/lib/composefs/setup-root-conf.toml", "[etc]\nmount = \"odd\"\n");
        assert!(super::read(Some(&initramfs), &image).unwrap_err().to_string().contains("odd"));
    }
}
