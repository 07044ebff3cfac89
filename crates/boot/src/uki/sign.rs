//! Signing by a program of the host: keys may be in a token, and are never read here.
//!
//! What lives here: which program is run, with which arguments. What does not: running it (the caller), checking what came of
//! it ([`verify_signature`](super::verify_signature)).
//! Invariant: arguments are a list, never a shell's text.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// How something is signed: as a command to run.
pub trait Signer {
    /// The command that signs the file `from` into the file `to`, which is not there.
    fn command(&self, from: &Path, to: &Path) -> SignCommand;
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignCommand {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// A program that signs PE images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignTool {
    /// `sbsign`, of sbsigntool.
    #[default]
    Sbsign,
    /// `systemd-sbsign`, of systemd since 257.
    SystemdSbsign,
}

/// A signer that is one of these programs with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolSigner {
    /// The program.
    pub tool: SignTool,
    /// Another path of it than the usual one.
    pub program: Option<PathBuf>,
    /// The private key: a file, or what an engine or a provider knows it by, such as `pkcs11:object=key`.
    pub key: OsString,
    /// The certificate: a file.
    pub certificate: PathBuf,
    /// OpenSSL's engine that has the key, such as `pkcs11`.
    pub engine: Option<String>,
    /// OpenSSL's provider that has the key; `systemd-sbsign` only.
    pub provider: Option<String>,
}

impl Signer for ToolSigner {
    fn command(&self, from: &Path, to: &Path) -> SignCommand {
        let option = |name: &str, value: &std::ffi::OsStr| {
            let mut option = OsString::from(name);
            option.push(value);
            option
        };
        let mut args = Vec::new();
        let usual = match self.tool {
            SignTool::Sbsign => {
                let engine = self.engine.iter().flat_map(|engine| ["--engine".into(), engine.into()]);
                args.extend(engine);
                let named: [(&str, OsString); 3] = [
                    ("--key", self.key.clone()),
                    ("--cert", self.certificate.clone().into()),
                    ("--output", to.into()),
                ];
                args.extend(named.into_iter().flat_map(|(name, value)| [OsString::from(name), value]));
                "sbsign"
            }
            SignTool::SystemdSbsign => {
                args.push("sign".into());
                args.push(option("--private-key=", &self.key));
                args.push(option("--certificate=", self.certificate.as_os_str()));
                for (kind, source) in [("engine", &self.engine), ("provider", &self.provider)] {
                    let source =
                        source.iter().map(|source| format!("--private-key-source={kind}:{source}").into());
                    args.extend(source);
                }
                args.push(option("--output=", to.as_os_str()));
                "/usr/lib/systemd/systemd-sbsign"
            }
        };
        args.push(from.into());
        SignCommand { program: self.program.clone().map_or_else(|| usual.into(), OsString::from), args }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(signer: &ToolSigner) -> String {
        let SignCommand { program, args } = signer.command(Path::new("in.efi"), Path::new("out.efi"));
        let words = std::iter::once(program).chain(args).map(|word| word.into_string().unwrap());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_are_named_as_each_program_wants_them() {
        let sbsign = ToolSigner {
            tool: SignTool::Sbsign,
            program: None,
            key: "db.key".into(),
            certificate: "db.pem".into(),
            engine: None,
            provider: None,
        };
        assert_eq!(line(&sbsign), "sbsign --key db.key --cert db.pem --output out.efi in.efi");
        let token = ToolSigner {
            tool: SignTool::SystemdSbsign,
            key: "pkcs11:object=db".into(),
            engine: Some("pkcs11".into()),
            ..sbsign
        };
        let expected = "/usr/lib/systemd/systemd-sbsign sign --private-key=pkcs11:object=db --certificate=db.pem \
             --private-key-source=engine:pkcs11 --output=out.efi in.efi";
        assert_eq!(line(&token), expected);
    }
}
