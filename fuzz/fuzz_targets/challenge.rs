//! Any text as a `WWW-Authenticate` header: what is read is read again the same when it is written properly.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::registry::config::Challenge;

fuzz_target!(|input: &str| {
    let challenges = Challenge::parse(input);
    for challenge in &challenges {
        assert!(!challenge.scheme().is_empty());
        assert!(!(challenge.is_basic() && challenge.is_bearer()));
        let quoted = |name: &str| {
            let value = challenge.parameter(name)?.replace('\\', "\\\\").replace('"', "\\\"");
            Some(format!("{name}=\"{value}\""))
        };
        let all: Vec<_> = ["realm", "service", "scope", "error"].into_iter().filter_map(quoted).collect();
        let text = format!("{} {}", challenge.scheme(), all.join(","));
        if text.len() > 16 << 10 {
            continue;
        }
        let again = Challenge::parse(&text);
        assert_eq!(again.len(), 1, "{text:?}");
        assert_eq!(again[0].scheme(), challenge.scheme());
        assert_eq!(again[0].realm(), challenge.realm());
        assert_eq!(again[0].service(), challenge.service());
        assert_eq!(again[0].error(), challenge.error());
        assert!(again[0].scopes().eq(challenge.scopes()));
    }
});
