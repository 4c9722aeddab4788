//! What `top` asks for beside the stream: a look before an order, the order itself, and what would follow from a failure.

use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::status::texts;

/// A question, or an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Errand {
    /// How everything stands, with its tag, and the forecast for this supposition, if there is one.
    Look(Option<Supposition>),
    /// The order, if nothing that orders change has changed since the tag was given.
    Order {
        path: String,
        body: Value,
        tag: Option<HeaderValue>,
    },
}

/// Components (or zones, for all of theirs) that are supposed to be down or up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Supposition {
    pub(super) down: Vec<String>,
    pub(super) up: Vec<String>,
}

/// What came back; an error is in words.
#[derive(Debug)]
pub(super) enum Answer {
    Looked(Result<Sight, String>),
    /// What was done.
    Ordered(Result<String, String>),
}

/// How everything stood.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) status: Value,
    pub(super) tag: Option<HeaderValue>,
    /// `/v1/plan`'s answer, where there was a supposition.
    pub(super) plan: Option<Value>,
}

/// Goes on an errand.
pub(super) async fn run(client: &Client, errand: Errand) -> Answer {
    match errand {
        Errand::Look(supposition) => Answer::Looked(look(client, supposition).await),
        Errand::Order { path, body, tag } => {
            Answer::Ordered(order(client, &path, &body, tag.as_ref()).await)
        }
    }
}

async fn order(
    client: &Client,
    path: &str,
    body: &Value,
    tag: Option<&HeaderValue>,
) -> Result<String, String> {
    let body = body.to_string().into();
    match client.send(Method::POST, path, body, tag).await {
        Ok(answer) => match client.accept(answer, &[]) {
            Ok(answer) => Ok(said(&answer.body)),
            Err(failure) => Err(failure.message),
        },
        // Nobody has answered, which doesn't mean that nothing was done.
        Err(failure) => Err(format!(
            "{}\nIf it was done all the same, the journal tells.",
            failure.message
        )),
    }
}

async fn look(client: &Client, supposition: Option<Supposition>) -> Result<Sight, String> {
    let looked = client.get("/v1/status", &[]).await;
    let looked = looked.map_err(|failure| failure.message)?;
    let plan = match supposition {
        None => None,
        Some(Supposition { down, up }) => {
            let body = json!({"down": down, "up": up});
            let answer = client.post("/v1/plan", &body).await;
            Some(answer.map_err(|failure| failure.message)?.body)
        }
    };
    Ok(Sight {
        status: looked.body,
        tag: looked.tag,
        plan,
    })
}

fn said(answer: &Value) -> String {
    if let Some(message) = answer["message"].as_str() {
        // An event a line; here is one line for all of them.
        return message.lines().collect::<Vec<_>>().join("; ");
    }
    let changes: Vec<String> = texts(&answer["changes"]).collect();
    let changes = if changes.is_empty() {
        "no component changed".to_owned()
    } else {
        changes.join("; ")
    };
    format!(
        "configuration {} is in force: {changes}",
        answer["generation"]
    )
}
