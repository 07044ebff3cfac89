//! [`Wire`]: requests over HTTP/1.1 with keep-alive, redirects included. What lives here: which connection, proxy and
//! timeout a request has, and who sees its credentials. What does not: what an answer means.

use std::io::{self, Read};

use sealstone_store::control::CancelToken;
use ureq::{
    Agent, Body, SendBody,
    http::{self, Response, StatusCode, Uri, header},
};

use super::{
    Proxies, RegistryEndpoint, RegistrySettings, Secret, Timeouts,
    exchange::{Exchange, Part, Payload},
    fault::Fault,
    origin::{Origin, Shown, follow},
};
use crate::{
    error::ImportError,
    limits::{HEADER_BYTES, REDIRECTS, REFUSAL_BYTES},
};

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) url: &'a Uri,
    pub(super) accept: &'a str,
    /// The value of `Range`.
    pub(super) range: Option<&'a str>,
    /// The value of `Authorization`, for the URL's own origin alone.
    pub(super) authorization: Option<&'a Secret>,
    /// Whether the answer's body is short, and has a time limit as a whole.
    pub(super) is_document: bool,
}

/// An answer, and who gave it in the end.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) url: Uri,
    /// Whether it comes from the origin that was asked.
    pub(super) is_own: bool,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Reads what nobody wants. A connection where that is too much, or fails, is closed.
    pub(super) fn drain(&mut self) {
        let _ = io::copy(&mut self.response.body_mut().as_reader().take(REFUSAL_BYTES), &mut io::sink());
    }

    /// A header's value, if it is text.
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// The connections to one registry, and to where it redirects.
#[derive(Debug)]
pub(super) struct Wire {
    /// Shows our client certificate.
    own: Agent,
    other: Agent,
    proxies: Proxies,
    timeouts: Timeouts,
}

impl Wire {
    pub(super) fn new(endpoint: &RegistryEndpoint, settings: &RegistrySettings) -> Self {
        let agent = |is_own| {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("sealstone/", env!("CARGO_PKG_VERSION")))
                // What is hashed is what was asked for, not what a server in between packed.
                .accept_encoding("identity")
                .proxy(None)
                .max_response_header_size(HEADER_BYTES)
                .max_idle_connections_per_host(8)
                .timeout_connect(Some(settings.timeouts.connect))
                .timeout_send_request(Some(settings.timeouts.answer))
                .timeout_recv_response(Some(settings.timeouts.answer))
                .timeout_per_read(Some(settings.timeouts.stall))
                .timeout_per_write(Some(settings.timeouts.stall))
                .tls_config(endpoint.trust.config(is_own, !endpoint.is_insecure))
                .build()
                .new_agent()
        };
        Self {
            own: agent(true),
            other: agent(false),
            proxies: endpoint.proxies.as_ref().unwrap_or(&settings.proxies).clone(),
            timeouts: settings.timeouts.clone(),
        }
    }

    /// Ends every request that is on its way, and all to come.
    pub(super) fn shut_down(&self) {
        self.own.clone().shutdown();
        self.other.clone().shutdown();
    }

    /// Asks, and goes where it is redirected to. `registry` is who may see our client certificate.
    pub(super) fn get(&self, request: Request<'_>, registry: Option<&Origin>) -> Result<Answer, Fault> {
        let asked = Origin::of(request.url);
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS {
            let origin = Origin::of(&url);
            let is_own = origin == asked;
            let authorization = request.authorization.filter(|_| is_own);
            let agent = if origin.as_ref() == registry { &self.own } else { &self.other };
            let response = self.send(agent, &url, request, authorization)?;
            let mut answer = Answer { response, url, is_own };
            let Some(location) = location(&answer).map(str::to_owned) else { return Ok(answer) };
            answer.drain();
            url = follow(&answer.url, &location).map_err(|reason| {
                Fault::Lasting(ImportError::insecure(Shown(request.url).to_string(), reason))
            })?;
        }
        let reason = format!("more than {REDIRECTS} redirects");
        Err(Fault::Lasting(ImportError::unreachable(Shown(request.url).to_string(), reason)))
    }

    fn send(
        &self,
        agent: &Agent,
        url: &Uri,
        request: Request<'_>,
        authorization: Option<&Secret>,
    ) -> Result<Response<Body>, Fault> {
        let mut get = agent.get(url).header(header::ACCEPT, request.accept);
        if let Some(range) = request.range {
            get = get.header(header::RANGE, range);
        }
        if let Some(authorization) = authorization {
            get = get.header(header::AUTHORIZATION, authorization.expose());
        }
        let whole = request.is_document.then_some(self.timeouts.document);
        let get = get.config().proxy(self.proxies.of(url).cloned()).timeout_recv_body(whole).build();
        get.call().map_err(|error| Fault::of_exchange(url, error))
    }

    /// Sends a request with a method and a body to where it says, and follows nothing. With `is_own` it goes to the registry,
    /// which may see our client certificate.
    pub(super) fn exchange(
        &self,
        request: &Exchange<'_>,
        url: &Uri,
        authorization: Option<&Secret>,
        is_own: bool,
        cancel: Option<&CancelToken>,
    ) -> Result<Answer, Fault> {
        let mut head = http::Request::builder().method(request.method.clone()).uri(url);
        for (name, value) in request.headers {
            head = head.header(name, *value);
        }
        if let Some(authorization) = authorization {
            head = head.header(header::AUTHORIZATION, authorization.expose());
        }
        let malformed = |error: http::Error| {
            Fault::Lasting(ImportError::malformed(format!("a request to {}", Shown(url)), error.to_string()))
        };
        let agent = if is_own { &self.own } else { &self.other };
        let proxy = self.proxies.of(url).cloned();
        let document = Some(self.timeouts.document);
        let response = match request.body {
            Payload::None => {
                let request = head.body(()).map_err(malformed)?;
                agent.run(agent.configure_request(request).proxy(proxy).timeout_recv_body(document).build())
            }
            Payload::Bytes(bytes) => {
                let request = head.body(bytes).map_err(malformed)?;
                agent.run(agent.configure_request(request).proxy(proxy).timeout_recv_body(document).build())
            }
            Payload::Part { file, from, len, sent } => {
                let mut part = Part::new(file, from, len, sent, cancel);
                let head = head.header(header::CONTENT_LENGTH, len);
                let request = head.body(SendBody::from_reader(&mut part)).map_err(malformed)?;
                agent.run(agent.configure_request(request).proxy(proxy).timeout_recv_body(document).build())
            }
        };
        let response = response.map_err(|error| Fault::of_exchange(url, error))?;
        Ok(Answer { response, url: url.clone(), is_own })
    }

    /// Posts a form; a redirect is an answer like any other.
    pub(super) fn post_form(&self, url: &Uri, form: &[(&str, &str)]) -> Result<Answer, Fault> {
        let proxy = self.proxies.of(url).cloned();
        let post = self.other.post(url).header(header::ACCEPT, "application/json");
        let post = post.config().proxy(proxy).timeout_recv_body(Some(self.timeouts.document)).build();
        let response =
            post.send_form(form.iter().copied()).map_err(|error| Fault::of_exchange(url, error))?;
        Ok(Answer { response, url: url.clone(), is_own: true })
    }
}

/// Where an answer leads instead of being one.
fn location(answer: &Answer) -> Option<&str> {
    let redirects = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    answer.header(header::LOCATION).filter(|_| redirects)
}
