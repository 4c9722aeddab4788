//! Our account with an authority: the stored one, or a new one that is stored at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use instant_acme::{Account, ExternalAccountKey, NewAccount};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::agent::Agent;
use super::storage::Storage;
use super::trouble::Trouble;
use super::unstored::Unstored;
use crate::config::Acme;

/// Our accounts with all authorities.
#[derive(Default)]
pub(super) struct Accounts {
    /// By the authority's directory: what couldn't be stored. Authorities count accounts, so it isn't just made again.
    unstored: BTreeMap<String, Unstored<String>>,
}

impl Accounts {
    /// The account for `acme`. One that can't be stored is used all the same, and stored by [`Self::store_again`].
    pub(super) async fn open(
        &mut self,
        acme: &Acme,
        storage: &Storage,
        agent: &Agent,
    ) -> Result<Account, Trouble> {
        if let Some(text) = self.known(acme, storage).await {
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
        self.keep(storage, &acme.directory, text(acme, &credentials))
            .await;
        Ok(account)
    }

    /// As [`Self::open`], but makes no new one.
    pub(super) async fn reopen(
        &mut self,
        acme: &Acme,
        storage: &Storage,
        agent: &Agent,
    ) -> Option<Result<Account, Trouble>> {
        let text = self.known(acme, storage).await?;
        let account = self.restored(&text, acme, storage, agent).await?;
        Some(account.map_err(Trouble::from))
    }

    async fn known(&self, acme: &Acme, storage: &Storage) -> Option<String> {
        match self.unstored.get(&acme.directory) {
            Some(unstored) => Some(unstored.what.clone()),
            None => stored(storage).await,
        }
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
            self.keep(storage, &acme.directory, text(acme, stored))
                .await;
        }
        Some(Ok(account))
    }

    /// Tries what is due of what couldn't be stored. Whether there will be another order is no matter: an account may be one that can't
    /// be had twice.
    pub(super) async fn store_again(&mut self, state_dir: &Path) {
        let now = Instant::now();
        let due = self.unstored.iter().filter(|(_, it)| it.is_due(now));
        let due: Vec<_> = due
            .map(|(directory, it)| (directory.clone(), it.what.clone()))
            .collect();
        for (directory, text) in due {
            self.keep(&Storage::new(state_dir, &directory), &directory, text)
                .await;
        }
    }

    async fn keep(&mut self, storage: &Storage, directory: &str, text: String) {
        let (place, content) = (storage.clone(), text.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let other = match place.account() {
                Ok(known) => known.is_some_and(|known| id(&known) != id(&content)),
                Err(_) => true,
            };
            // It couldn't be read when ours was made. Where it can't be moved, ours can't be written, and that is told.
            if other {
                let _unmoved = place.set_account_aside();
            }
            place.keep_account(&content)
        });
        let Ok(kept) = kept.await else { return };
        let before = self.unstored.remove(directory);
        let whose = format!("the ACME account with {directory}");
        let before = before.as_ref().map(|it| &*it.told);
        if let Some(unstored) = Unstored::after(kept, text, &whose, before) {
            self.unstored.insert(directory.to_owned(), unstored);
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

/// What tells one account from another.
fn id(text: &str) -> Option<Value> {
    let json: Value = serde_json::from_str(text).ok()?;
    Some(json["credentials"]["id"].clone())
}

async fn stored(storage: &Storage) -> Option<String> {
    let storage = storage.clone();
    let read = tokio::task::spawn_blocking(move || storage.account());
    read.await.ok()?.unwrap_or_else(|error| {
        error!(
            "the file of an ACME account can't be read; the next order makes a new one: {error}"
        );
        None
    })
}
