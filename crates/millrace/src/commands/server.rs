//! Asking a running server by its management API.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use millrace_model::secret::Secret;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;

use crate::cli::ServerArguments;
use crate::exit::Failure;

const TOKEN_VARIABLE: &str = "MILLRACE_ADMIN_TOKEN";
/// A recount reads the whole log.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A server and who asks.
#[derive(Debug)]
pub(super) struct Server {
    base: Url,
    token: Secret,
}

impl Server {
    /// The server that the arguments mean.
    pub(super) fn of(arguments: &ServerArguments) -> Result<Server, Failure> {
        let preset = if arguments.dev { "http://127.0.0.1:8080" } else { "http://127.0.0.1:8084" };
        let text = arguments.server.as_deref().unwrap_or(preset);
        let base = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::usage(anyhow!("{text:?} is no URL such as http://127.0.0.1:8084"))
            })?;
        let given = arguments.token.clone().or_else(|| std::env::var(TOKEN_VARIABLE).ok());
        let token = match given {
            Some(token) if !token.is_empty() => Secret::new(&*token),
            _ if arguments.dev => Secret::new("dev-admin-token"),
            _ => {
                let message = "there is no admin token: set MILLRACE_ADMIN_TOKEN, or use --token";
                return Err(Failure::usage(anyhow!("{message}")));
            }
        };
        Ok(Server { base, token })
    }

    /// What a path shows.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask(Method::GET, path, query, None)
    }

    /// What a path answers to an order.
    pub(super) fn post(&self, path: &str, order: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, &[], Some(order))
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        order: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut url = self.base.join(path).map_err(Failure::internal)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        // Fails when a provider stands already: then that one is used, which is as good.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build();
        let client = client.map_err(Failure::internal)?;
        let mut request = client
            .request(method, url)
            .header("authorization", format!("Bearer {}", self.token.expose()));
        if let Some(order) = order {
            request = request.body(order.to_string());
        }
        let base = &self.base;
        let asked = async {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let (status, bytes) = super::runtime()?
            .block_on(asked)
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("{base} does not answer: is the server running?"))
            .map_err(Failure::unavailable)?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        Err(refused(status, &answer))
    }
}

/// Why the server does not do it, in its own words.
fn refused(status: StatusCode, answer: &Value) -> Failure {
    let text = |path: &str| answer.pointer(path).and_then(Value::as_str);
    let error = match (text("/error/code"), text("/error/message")) {
        (Some(code), Some(message)) => anyhow!("{code} {message}"),
        _ => anyhow!("the server answers {status}, and not as a Millrace does"),
    };
    if status.is_server_error() { Failure::unavailable(error) } else { Failure::usage(error) }
}
