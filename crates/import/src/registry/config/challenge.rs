//! [`Challenge`]: what a server answers that wants credentials, in `WWW-Authenticate` (RFC 9110 §11.6.1).
//!
//! What lives here: splitting the header, which may hold several challenges, each with several parameters, all of them
//! separated by the same commas, some inside quotes. What does not: choosing one and answering it.
//!
//! Registries are not exact: a value without quotes may hold any visible character but a comma or a quote, and a piece
//! that cannot be read is left out, up to the next comma. A challenge that lacks what is needed then fails by its name.

use crate::limits::CHALLENGE_BYTES;

/// One challenge: a scheme and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Reads the value of one header; of several headers, each by itself. What comes after 16 KiB is left out.
    #[must_use]
    pub fn parse(header: &str) -> Vec<Self> {
        let end = header.floor_char_boundary(CHALLENGE_BYTES);
        let mut text = Text { rest: header.get(..end).unwrap_or_default(), after_scheme: false };
        let mut challenges: Vec<Self> = Vec::new();
        while let Some(piece) = text.piece() {
            match (piece, challenges.last_mut()) {
                (Piece::Scheme(scheme), _) => challenges.push(Self { scheme, parameters: Vec::new() }),
                (Piece::Parameter(name, value), Some(challenge)) => challenge.parameters.push((name, value)),
                (Piece::Parameter(..), None) => {}
            }
        }
        challenges
    }

    /// The scheme in lower case: `bearer`, `basic`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether a token is wanted: from the [`realm`](Self::realm), for [`service`](Self::service) and scopes.
    #[must_use]
    pub fn is_bearer(&self) -> bool {
        self.scheme == "bearer"
    }

    /// Whether a user and a password are wanted.
    #[must_use]
    pub fn is_basic(&self) -> bool {
        self.scheme == "basic"
    }

    /// A parameter by its name in lower case; the first of several.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Of a bearer challenge, the URL of the token server.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.parameter("realm")
    }

    /// The name by which the token server knows the registry.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.parameter("service")
    }

    /// What the token has to allow: `repository:ns/repo:pull`, and so on.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.parameter("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty())
    }

    /// Why the last token was not enough: `invalid_token`, `insufficient_scope` (RFC 6750 §3.1).
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.parameter("error")
    }
}

/// What is left of a header.
struct Text<'a> {
    rest: &'a str,
    /// The last piece was a scheme, and no comma came since.
    after_scheme: bool,
}

enum Piece {
    Scheme(String),
    Parameter(String, String),
}

impl<'a> Text<'a> {
    /// The next scheme or parameter.
    fn piece(&mut self) -> Option<Piece> {
        loop {
            let separators = self.take(|c| matches!(c, ' ' | '\t' | ','));
            // A single word right after a scheme is its `token68` (`Negotiate YWJj`), of no use to us.
            let is_word = std::mem::take(&mut self.after_scheme) && !separators.contains(',');
            if self.rest.is_empty() {
                return None;
            }
            let name = self.take(is_token);
            let after = self.rest.trim_start_matches([' ', '\t']);
            if let Some(value) = after.strip_prefix('=').filter(|_| !name.is_empty()) {
                self.rest = value.trim_start_matches([' ', '\t']);
                if let Some(value) = self.value() {
                    return Some(Piece::Parameter(name.to_ascii_lowercase(), value));
                }
            } else if !name.is_empty() && !is_word && self.at_separator() {
                self.after_scheme = true;
                return Some(Piece::Scheme(name.to_ascii_lowercase()));
            }
            self.take(|c| c != ',');
        }
    }

    /// A parameter's value. `None` when there is none, as in `YWI=`, or its quote does not end: then nothing is left.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let value = self.take(|c| !c.is_whitespace() && !c.is_control() && c != ',' && c != '"');
            return (!value.is_empty() && !value.starts_with('=')).then(|| value.to_owned());
        };
        self.rest = "";
        let mut value = String::new();
        let mut characters = quoted.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next()?),
                other => value.push(other),
            }
        }
        self.rest = characters.as_str();
        Some(value)
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn at_separator(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with([' ', '\t', ','])
    }
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn only(header: &str) -> Challenge {
        let mut challenges = Challenge::parse(header);
        assert_eq!(challenges.len(), 1, "{header}: {challenges:?}");
        challenges.remove(0)
    }

    #[test]
    fn a_registrys_challenge_says_where_to_get_a_token_and_for_what() {
        let challenge = only(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push repository:c:pull",error="invalid_token""#,
        );
        assert!(challenge.is_bearer());
        assert_eq!(challenge.realm(), Some("https://auth.docker.io/token"));
        assert_eq!(challenge.service(), Some("registry.docker.io"));
        let scopes: Vec<_> = challenge.scopes().collect();
        assert_eq!(scopes, ["repository:a/b:pull,push", "repository:c:pull"]);
        assert_eq!(challenge.error(), Some("invalid_token"));
    }

    #[test]
    fn several_challenges_share_one_header() {
        let challenges =
            Challenge::parse(r#"Negotiate, NTLM YWJj==, Basic realm="a, b", bearer REALM = "r" ,service=s"#);
        let schemes: Vec<_> = challenges.iter().map(Challenge::scheme).collect();
        assert_eq!(schemes, ["negotiate", "ntlm", "basic", "bearer"]);
        assert_eq!(challenges[2].realm(), Some("a, b"));
        assert!(challenges[2].is_basic());
        assert_eq!((challenges[3].realm(), challenges[3].service()), (Some("r"), Some("s")));
    }

    #[test]
    fn a_word_after_a_scheme_is_no_scheme() {
        for word in ["YWJj", "YWJj=", "YWJj==", "a/b+c==", "a.b~c"] {
            let challenges = Challenge::parse(&format!("Negotiate {word}, Basic realm=x"));
            let schemes: Vec<_> = challenges.iter().map(Challenge::scheme).collect();
            assert_eq!(schemes, ["negotiate", "basic"], "{word}");
        }
    }

    #[test]
    fn values_need_no_quotes_and_quotes_may_hold_quotes() {
        let challenge = only(r#"Bearer realm=https://auth.example/token?a=b,service="a\"b\\c",empty="""#);
        assert_eq!(challenge.realm(), Some("https://auth.example/token?a=b"));
        assert_eq!(challenge.service(), Some(r#"a"b\c"#));
        assert_eq!(challenge.parameter("empty"), Some(""));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(Challenge::parse(""), []);
        assert_eq!(Challenge::parse(r#"realm="x""#), []);
        let challenge = only(r#"Bearer realm="a",service="never ends"#);
        assert_eq!((challenge.realm(), challenge.service()), (Some("a"), None));
        let challenge = only(r#"Bearer (what),realm="a""#);
        assert_eq!(challenge.realm(), Some("a"));
    }

    #[test]
    fn an_endless_header_is_cut() {
        let challenge = only(&format!(r#"Bearer realm="a",filler="{}",service="s""#, "é".repeat(1 << 20)));
        assert_eq!((challenge.realm(), challenge.service()), (Some("a"), None));
    }

    proptest! {
        #[test]
        fn parameters_come_back_as_they_were_quoted(
            challenges in prop::collection::vec(("[A-Z][a-z]{1,6}", prop::collection::vec(("[a-z]{1,6}", "\\PC{0,12}"), 1..4)), 1..4),
        ) {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header: Vec<String> = challenges.iter().map(|(scheme, parameters)| {
                let all: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", quote(value))).collect();
                format!("{scheme} {}", all.join(", "))
            }).collect();
            let expected: Vec<_> = challenges.into_iter().map(|(scheme, parameters)| Challenge {
                scheme: scheme.to_ascii_lowercase(), parameters,
            }).collect();
            prop_assert_eq!(Challenge::parse(&header.join(",")), expected);
        }

        #[test]
        fn any_text_is_read_to_its_end(header in "[a-zA-Z \"=,\\\\é]{0,64}") {
            for challenge in Challenge::parse(&header) {
                prop_assert!(!challenge.scheme().is_empty());
            }
        }
    }
}
