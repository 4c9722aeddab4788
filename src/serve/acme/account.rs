//! Our account with an authority: the stored one, or a new one that is stored at once.

use instant_acme::{Account, ExternalAccountKey, NewAccount};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::agent::Agent;
use super::storage::Storage;
use super::trouble::Trouble;
use crate::config::Acme;

/// The account for `acme`. One that can't be stored is used all the same; the next process makes another.
pub(super) async fn open(
    acme: &Acme,
    storage: &Storage,
    agent: &Agent,
) -> Result<Account, Trouble> {
    if let Some(text) = stored(storage).await {
        match restored(&text, acme, storage, agent).await {
            Some(account) => return account.map_err(Trouble::from),
            None => set_aside(storage).await,
        }
    }
    let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
    let terms = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = acme.external.as_ref().and_then(|external| {
        Some(ExternalAccountKey::new(
            external.id.clone(),
            &external.mac_key()?,
        ))
    });
    let builder = Account::builder_with_http(Box::new(agent.clone()));
    let directory = acme.directory.clone();
    let (account, credentials) = builder.create(&terms, directory, external.as_ref()).await?;
    info!("{}: a new account, {}", acme.directory, account.id());
    let credentials = serde_json::to_value(&credentials).map_err(instant_acme::Error::from)?;
    keep(storage, acme, credentials).await;
    Ok(account)
}

/// Lets the next [`open`] make a new account: the authority doesn't know this one.
pub(super) async fn set_aside(storage: &Storage) {
    let storage = storage.clone();
    let moved = tokio::task::spawn_blocking(move || storage.set_account_aside()).await;
    if let Ok(Err(error)) = moved {
        warn!("the file of an ACME account can't be moved aside: {error}");
    }
}

async fn stored(storage: &Storage) -> Option<String> {
    let storage = storage.clone();
    let read = tokio::task::spawn_blocking(move || storage.account())
        .await
        .ok()?;
    read.unwrap_or_else(|error| {
        error!("the file of an ACME account can't be read: {error}");
        None
    })
}

/// `None`: it can't be understood, or belongs to another authority.
async fn restored(
    text: &str,
    acme: &Acme,
    storage: &Storage,
    agent: &Agent,
) -> Option<Result<Account, instant_acme::Error>> {
    let json: Value = serde_json::from_str(text).ok()?;
    let stored = &json["credentials"];
    let external = acme.external.as_ref().map(|external| &*external.id);
    if stored["directory"] != *acme.directory || json["eab_kid"].as_str() != external {
        return None;
    }
    let credentials = serde_json::from_value(stored.clone()).ok()?;
    let builder = Account::builder_with_http(Box::new(agent.clone()));
    let account = match builder.from_credentials(credentials).await {
        Ok(account) => account,
        Err(error) => return Some(Err(error)),
    };
    if json["contact"] != json!(acme.contact) {
        let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
        if let Err(error) = account.update_contacts(&contact).await {
            return Some(Err(error));
        }
        keep(storage, acme, stored.clone()).await;
    }
    Some(Ok(account))
}

async fn keep(storage: &Storage, acme: &Acme, credentials: Value) {
    let json = json!({
        "credentials": credentials,
        "contact": acme.contact,
        "eab_kid": acme.external.as_ref().map(|external| &external.id),
    });
    let (storage, text) = (storage.clone(), format!("{json:#}\n"));
    let kept = tokio::task::spawn_blocking(move || storage.keep_account(&text)).await;
    if let Ok(Err(error)) = kept {
        error!(
            "the ACME account with {} can't be stored, so a restart will make a new one: {error}",
            acme.directory
        );
    }
}
