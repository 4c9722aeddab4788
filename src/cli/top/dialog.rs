//! A dialog about one order, or one "what if": look, reason, confirmation, result. Pure: what has to be asked goes out as an errand.

use http::HeaderValue;
use serde_json::{Value, json};

use super::super::plan;
use super::super::terminal::{Paint, Tone, plain};
use super::errand::{Errand, Sight, Supposition};
use super::key::Press;
use super::order::{Line, Order};

/// Characters of a reason.
const REASON: usize = 200;

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) about: About,
    pub(super) stage: Stage,
    /// What would happen; empty until that is known.
    pub(super) preview: Vec<Line>,
    pub(super) reason: String,
    /// Of what was looked at: somebody else's change in between must not go unseen.
    tag: Option<HeaderValue>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum About {
    Order(Order),
    /// What would follow, and the supposition in words.
    WhatIf(Supposition, String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// It isn't known yet what would happen.
    Looking,
    /// That can't be told, and why.
    Blind(String),
    /// A reason can be typed.
    Reason,
    /// One more key, and it is given.
    Confirm,
    /// Given, not done yet.
    UnderWay,
    Done(String),
    Refused(String),
    /// Of a "what if": there is nothing to do about it.
    Told,
}

/// What a key leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Stay,
    Close,
    Run(Errand),
}

impl Dialog {
    /// Begins with a look.
    pub(super) fn open(about: About, status: &Value) -> (Self, Errand) {
        let supposition = match &about {
            About::Order(order) => order.supposition(status),
            About::WhatIf(supposition, _) => Some(supposition.clone()),
        };
        let dialog = Self {
            about,
            stage: Stage::Looking,
            preview: Vec::new(),
            reason: String::new(),
            tag: None,
        };
        (dialog, Errand::Look(supposition))
    }

    pub(super) fn title(&self) -> String {
        match &self.about {
            About::Order(order) => plain(&order.title()),
            About::WhatIf(_, words) => plain(words),
        }
    }

    /// What will be sent.
    pub(super) fn request(&self) -> String {
        match &self.about {
            About::Order(order) => format!("POST {} {}", order.path(), order.body(&self.reason)),
            About::WhatIf(Supposition { down, up }, _) => {
                format!("POST /v1/plan {}", json!({"down": down, "up": up}))
            }
        }
    }

    pub(super) fn press(&mut self, press: Press, status: &Value) -> Step {
        match (&self.stage, press) {
            (_, Press::Escape | Press::Interrupt) => Step::Close,
            (Stage::Reason, press) => self.type_reason(press),
            (Stage::Confirm, Press::Character('y' | 'Y')) => self.give(),
            (Stage::Confirm, Press::Character('n' | 'N')) => Step::Close,
            (Stage::Confirm, Press::Backspace) => {
                self.stage = Stage::Reason;
                Step::Stay
            }
            (Stage::Refused(_) | Stage::Blind(_), Press::Character('r')) => {
                let (again, errand) = Self::open(self.about.clone(), status);
                let reason = std::mem::take(&mut self.reason);
                *self = Self { reason, ..again };
                Step::Run(errand)
            }
            (
                Stage::Done(_) | Stage::Told | Stage::Refused(_) | Stage::Blind(_),
                Press::Enter | Press::Character('q'),
            ) => Step::Close,
            _ => Step::Stay,
        }
    }

    /// What is pasted is never more than a part of a reason.
    pub(super) fn paste(&mut self, text: &str) {
        if self.stage == Stage::Reason {
            for character in text.trim().chars() {
                let character = if character.is_control() {
                    ' '
                } else {
                    character
                };
                self.type_reason(Press::Character(character));
            }
        }
    }

    fn type_reason(&mut self, press: Press) -> Step {
        match press {
            Press::Enter => self.stage = Stage::Confirm,
            Press::Backspace => {
                self.reason.pop();
            }
            Press::Erase => self.reason.clear(),
            Press::Character(character)
                if !character.is_control() && self.reason.chars().count() < REASON =>
            {
                self.reason.push(character);
            }
            _ => {}
        }
        Step::Stay
    }

    fn give(&mut self) -> Step {
        let About::Order(order) = &self.about else {
            return Step::Stay;
        };
        self.stage = Stage::UnderWay;
        Step::Run(Errand::Order {
            path: order.path(),
            body: order.body(&self.reason),
            tag: self.tag.clone(),
        })
    }

    pub(super) fn looked(&mut self, looked: Result<Sight, String>) {
        if self.stage != Stage::Looking {
            return;
        }
        match (looked, &self.about) {
            (Err(why), _) => self.stage = Stage::Blind(why),
            (Ok(sight), About::Order(order)) => {
                let preview = order.preview(&sight).into_iter();
                self.preview = preview.map(|(tone, line)| (tone, plain(&line))).collect();
                self.tag = sight.tag;
                self.stage = Stage::Reason;
            }
            (Ok(sight), About::WhatIf(_, words)) => {
                self.preview = forecast(sight.plan.as_ref().unwrap_or(&Value::Null), words);
                self.stage = Stage::Told;
            }
        }
    }

    pub(super) fn ordered(&mut self, done: Result<String, String>) {
        self.stage = match done {
            Ok(said) => Stage::Done(said),
            Err(why) => Stage::Refused(why),
        };
    }
}

/// In the words of `firedoor plan`, without the title, which the dialog has.
fn forecast(answer: &Value, words: &str) -> Vec<Line> {
    let told = plan::render(answer, words, Paint::none());
    let lines = told.lines().skip(1).enumerate();
    lines
        .map(|(at, line)| {
            let tone = match line {
                _ if at == 0 && answer["kind"] == "stay" => Tone::Good,
                _ if at == 0 && answer["kind"] == "flip" => Tone::Strong,
                _ if at == 0 => Tone::Bad,
                line if line.contains("NO STANDBY") => Tone::Bad,
                line if line.starts_with("This was") => Tone::Faint,
                line if !line.starts_with(' ') => Tone::Strong,
                _ => Tone::Plain,
            };
            (tone, line.to_owned())
        })
        .collect()
}
