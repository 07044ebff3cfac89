//! [`PolicyScope`]: the names by which a policy may speak of an image, from the most specific to the transport's own.

use std::{fmt, path::Path};

use super::ImageName;

/// An image, as `policy.json` has scopes for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyScope {
    transport: &'static str,
    /// The most specific first; the last is `""`, the transport's default.
    names: Vec<String>,
}

impl PolicyScope {
    /// An image in a registry (`docker`): itself, its repository, the namespaces above it, the host, and the wildcards
    /// of the host's domains.
    #[must_use]
    pub fn registry(image: &ImageName) -> Self {
        let mut names = vec![image.to_string()];
        let mut name = image.name();
        if names.first().is_none_or(|first| first != name) {
            names.push(name.to_owned());
        }
        while let Some((above, _)) = name.rsplit_once('/') {
            names.push(above.to_owned());
            name = above;
        }
        let mut domain = name.split(':').next().unwrap_or_default();
        while let Some((_, above)) = domain.split_once('.') {
            names.push(format!("*.{above}"));
            domain = above;
        }
        names.push(String::new());
        Self { transport: "docker", names }
    }

    /// An image at an absolute path without symlinks (`dir`, `oci`, `oci-archive`): the path, and the folders above it
    /// except `/`.
    #[must_use]
    pub fn path(transport: &'static str, path: &Path) -> Self {
        let above =
            path.ancestors().filter(|folder| folder.parent().is_some() && !folder.as_os_str().is_empty());
        let mut names: Vec<String> = above.map(|folder| folder.display().to_string()).collect();
        names.push(String::new());
        Self { transport, names }
    }

    /// An image in a containers-storage (`containers-storage`): itself; by its name alone, and the namespaces above that;
    /// the storage with its driver, and without.
    #[must_use]
    pub fn storage(driver: &str, root: &Path, name: Option<&ImageName>, id: Option<&str>) -> Self {
        let folder = root.display();
        let store = format!("[{driver}@{folder}]");
        let image = name.map(ToString::to_string);
        let by_id = id.map(|id| format!("{store}{}@{id}", image.as_deref().unwrap_or_default()));
        let mut names: Vec<String> = by_id.into_iter().collect();
        names.extend(image.map(|image| format!("{store}{image}")));
        let mut above = name.map(ImageName::name);
        while let Some(name) = above {
            names.push(format!("{store}{name}"));
            above = name.rsplit_once('/').map(|(above, _)| above);
        }
        names.extend([store, format!("[{folder}]"), String::new()]);
        Self { transport: "containers-storage", names }
    }

    /// An image of a transport that has no scopes but its default (`docker-archive`), or of whose scopes none is known
    /// to be this image's.
    #[must_use]
    pub fn whole(transport: &'static str) -> Self {
        Self { transport, names: vec![String::new()] }
    }

    /// The transport, by its name in the policy.
    #[must_use]
    pub const fn transport(&self) -> &'static str {
        self.transport
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for PolicyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.first().map(String::as_str) {
            None | Some("") => write!(f, "an image of transport {}", self.transport),
            Some(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_image_has_the_scopes_of_containers_image() {
        let image: ImageName = "a.example.com:5000/ns/repo:tag".parse().unwrap();
        assert_eq!(
            PolicyScope::registry(&image).names(),
            [
                "a.example.com:5000/ns/repo:tag",
                "a.example.com:5000/ns/repo",
                "a.example.com:5000/ns",
                "a.example.com:5000",
                "*.example.com",
                "*.com",
                "",
            ]
        );
    }

    #[test]
    fn a_path_has_the_folders_above_it_and_never_the_root() {
        let scope = PolicyScope::path("oci", Path::new("/images/os/layout"));
        assert_eq!(scope.names(), ["/images/os/layout", "/images/os", "/images", ""]);
        assert_eq!(PolicyScope::whole("docker-archive").names(), [""]);
    }

    #[test]
    fn a_storages_image_has_the_scopes_of_containers_image() {
        let image: ImageName = "localhost/ns/os:1".parse().unwrap();
        let names =
            |name, id| PolicyScope::storage("overlay", Path::new("/var/s"), name, id).names().to_vec();
        let of_name = [
            "[overlay@/var/s]localhost/ns/os:1",
            "[overlay@/var/s]localhost/ns/os",
            "[overlay@/var/s]localhost/ns",
            "[overlay@/var/s]localhost",
        ];
        let of_store = ["[overlay@/var/s]", "[/var/s]", ""];
        assert_eq!(names(Some(&image), None), [&of_name[..], &of_store].concat());
        let by_id = ["[overlay@/var/s]@abc"];
        assert_eq!(names(None, Some("abc")), [&by_id[..], &of_store].concat());
        let both = ["[overlay@/var/s]localhost/ns/os:1@abc"];
        assert_eq!(names(Some(&image), Some("abc")), [&both[..], &of_name, &of_store].concat());
    }
}
