//! The program's own options, few enough to be read by hand: an argument parser would be most of the program.

use std::{ffi::OsString, path::PathBuf};

use sealstone_setup_root::SetupError;

/// What `--help` prints.
pub const USAGE: &str = "\
Make the deployment that the kernel's arguments name the root of the system.

Usage: store-setup-root [OPTIONS]

Options:
  --sysroot DIR    where the physical root is mounted [/sysroot]
  --target DIR     where the root shall be [the same]; for a soft reboot /run/nextroot
  --cmdline TEXT   take this for the kernel's command line [/proc/cmdline]
  --config DIR     look for configuration in this root before the image's [/ in an initramfs, else none]
  --help           print this
  --version        print the version

Kernel arguments:
  composefs.digest=[?]v1-sha512-12:ID, composefs=[?]ID   the image; several are tried in this order
  composefs.state=NAME   the folder of state/deploy with /etc and /var [ID]
  systemd.volatile=state|overlay   leaves /var to systemd
With ostree=, or without any of these, nothing is done.

Exit codes: 0 done, or nothing to do; 1 failed; 2 wrong arguments; 3 the image is not to be trusted;
5 image or state not found; 7 this kernel cannot mount it.
";

/// What the caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub sysroot: PathBuf,
    pub target: PathBuf,
    pub command_line: Option<String>,
    pub configuration: Option<PathBuf>,
    pub help: bool,
    pub version: bool,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, SetupError> {
        let (mut sysroot, mut target, mut command_line, mut configuration) = (None, None, None, None);
        let (mut help, mut version) = (false, false);
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let arg = arg.into_string().map_err(|arg| wrong(&format!("{} is no UTF-8", arg.display())))?;
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            let place = match name.as_str() {
                "--sysroot" => &mut sysroot,
                "--target" => &mut target,
                "--cmdline" => &mut command_line,
                "--config" => &mut configuration,
                "--help" | "-h" => {
                    help = true;
                    continue;
                }
                "--version" | "-V" => {
                    version = true;
                    continue;
                }
                other => return Err(wrong(&format!("{other} is no option"))),
            };
            let given = value.or_else(|| args.next()?.into_string().ok());
            *place = Some(given.ok_or_else(|| wrong(&format!("{name} wants a value")))?);
        }
        let sysroot = PathBuf::from(sysroot.unwrap_or_else(|| "/sysroot".to_owned()));
        let target = target.map_or_else(|| sysroot.clone(), PathBuf::from);
        if target.file_name().is_none() {
            return Err(wrong("--target wants a folder, and not the root of the machine that runs"));
        }
        let configuration = configuration.map(PathBuf::from);
        Ok(Self { sysroot, target, command_line, configuration, help, version })
    }
}

fn wrong(what: &str) -> SetupError {
    SetupError::Usage { reason: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, SetupError> {
        Options::parse(args.iter().map(OsString::from))
    }

    #[test]
    fn the_defaults_are_those_of_an_initramfs() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.sysroot, PathBuf::from("/sysroot"));
        assert_eq!(options.target, options.sysroot);
        assert_eq!((options.command_line, options.configuration), (None, None));
    }

    #[test]
    fn a_value_stands_behind_its_name_or_after_an_equals_sign() {
        let options =
            parse(&["--sysroot=/a", "--target", "/run/nextroot", "--cmdline", "composefs=x"]).unwrap();
        assert_eq!((options.sysroot, options.target), ("/a".into(), "/run/nextroot".into()));
        assert_eq!(options.command_line.as_deref(), Some("composefs=x"));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for args in [&["--sysroot"][..], &["--nothing"], &["word"], &["--target", "/"]] {
            let error = parse(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}: {error}");
        }
    }
}
