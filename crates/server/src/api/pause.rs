//! Why a run is paused, and the command that continues it.

use antiphon::coordination::{self, BudgetType, SpentCeiling};
use antiphon::id::CoordinationId;
use serde::{Deserialize, Serialize};

/// Why a run is paused, and the command that continues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The ceilings that are reached. Each must be raised to continue the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<SpentMeter>,
    /// The command line that continues it, with the ceilings that it raises.
    pub command: String,
}

/// A ceiling that is reached, with amounts as plans and commands take them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentMeter {
    /// Its key in the budget of a plan.
    pub meter: String,
    /// How much was used.
    pub used: String,
    /// How much may be.
    pub ceiling: String,
    /// The lowest ceiling that is not reached.
    pub enough: String,
}

impl Pause {
    /// A pause of this run.
    #[must_use]
    pub fn of(run: &CoordinationId, pause: &coordination::Pause) -> Self {
        let mut command = format!("antiphon continue {run}");
        for spent in pause.spent() {
            command.push(' ');
            command.push_str(&spent.option());
        }
        Self { spent: pause.spent().iter().map(SpentMeter::from).collect(), command }
    }

    /// The command that continues it, as the beginning of a sentence that goes on with the verb.
    #[must_use]
    pub fn continued_by(&self) -> String {
        // Of time the command gives more than the least that is enough.
        match self.spent.as_slice() {
            [] => format!("`{}`", self.command),
            [spent] if spent.meter == BudgetType::Duration.key() => {
                format!("`{}`, or a ceiling of at least {},", self.command, spent.enough)
            }
            [_] => format!("`{}`, or a higher ceiling,", self.command),
            _ => format!("`{}`, or other ceilings that are high enough,", self.command),
        }
    }
}

impl From<&SpentCeiling> for SpentMeter {
    fn from(spent: &SpentCeiling) -> Self {
        Self {
            meter: spent.meter().key().to_owned(),
            used: spent.used_text(),
            ceiling: spent.ceiling_text(),
            enough: spent.enough(),
        }
    }
}
