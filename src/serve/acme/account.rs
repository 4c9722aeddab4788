//! Our account with an authority: the stored one, or a new one that is stored at once.

use std::collections::BTreeMap;

use instant_acme::{Account, ExternalAccountKey, NewAccount};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::agent::Agent;
use super::storage::Storage;
use super::trouble::Trouble;
use crate::config::Acme;

/// Our accounts with all authorities.
#[derive(Default)]
pub(super) struct Accounts {
    /// By the authority's directory: what couldn't be stored. Authorities count accounts, so it isn't just made again.
    unstored: BTreeMap<String, String>,
}

impl Accounts {
    /// The account for `acme`. One that can't be stored is used all the same; the next process makes another.
    pub(super) async fn open(
        &mut self,
        acme: &Acme,
        storage: &Storage,
        agent: &Agent,
    ) -> Result<Account, Trouble> {
        let known = match self.unstored.remove(&acme.directory) {
            Some(text) => {
                self.keep(storage, acme, text.clone()).await;
                Some(text)
            }
            None => stored(storage).await,
        };
        if let Some(text) = known {
            match self.restored(&text, acme, storage, agent).await {
                Some(account) => return account.map_err(Trouble::from),
                None => self.set_aside(acme, storage).await,
            }
        }
        let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
        let terms = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let external = acme.external.as_ref().and_then(|external| {
            let key = external.mac_key()?;
            Some(ExternalAccountKey::new(external.id.clone(), &key))
        });
        let builder = Account::builder_with_http(Box::new(agent.clone()));
        let directory = acme.directory.clone();
        let (account, credentials) = builder.create(&terms, directory, external.as_ref()).await?;
        info!("{}: a new account, {}", acme.directory, account.id());
        let credentials = serde_json::to_value(&credentials).map_err(instant_acme::Error::from)?;
        self.keep(storage, acme, text(acme, &credentials)).await;
        Ok(account)
    }

    /// Lets the next [`Self::open`] make a new account: the authority doesn't know this one.
    pub(super) async fn set_aside(&mut self, acme: &Acme, storage: &Storage) {
        self.unstored.remove(&acme.directory);
        let storage = storage.clone();
        let moved = tokio::task::spawn_blocking(move || storage.set_account_aside()).await;
        if let Ok(Err(error)) = moved {
            warn!("the file of an ACME account can't be moved aside: {error}");
        }
    }

    /// `None`: it can't be understood, or belongs to another authority.
    async fn restored(
        &mut self,
        known: &str,
        acme: &Acme,
        storage: &Storage,
        agent: &Agent,
    ) -> Option<Result<Account, instant_acme::Error>> {
        let json: Value = serde_json::from_str(known).ok()?;
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
            self.keep(storage, acme, text(acme, stored)).await;
        }
        Some(Ok(account))
    }

    async fn keep(&mut self, storage: &Storage, acme: &Acme, text: String) {
        let (place, content) = (storage.clone(), text.clone());
        let kept = tokio::task::spawn_blocking(move || place.keep_account(&content)).await;
        if let Ok(Err(error)) = kept {
            error!(
                "the ACME account with {} can't be stored, so a restart will make a new one: {error}",
                acme.directory
            );
            self.unstored.insert(acme.directory.clone(), text);
        }
    }
}

/// What is stored of an account.
fn text(acme: &Acme, credentials: &Value) -> String {
    let json = json!({
        "credentials": credentials,
        "contact": acme.contact,
        "eab_kid": acme.external.as_ref().map(|external| &external.id),
    });
    format!("{json:#}\n")
}

async fn stored(storage: &Storage) -> Option<String> {
    let storage = storage.clone();
    let read = tokio::task::spawn_blocking(move || storage.account());
    read.await.ok()?.unwrap_or_else(|error| {
        error!("the file of an ACME account can't be read: {error}");
        None
    })
}
