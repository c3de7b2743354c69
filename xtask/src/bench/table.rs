//! The table of figures.

use serde_json::json;

/// How a figure relates to its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// The figure must not be below this.
    AtLeast(f64),
    /// The figure must not be above this.
    AtMost(f64),
    /// The figure is told for information.
    None,
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The figure.
    pub(crate) value: f64,
    /// What it counts.
    pub(crate) unit: &'static str,
    /// What it must keep.
    pub(crate) limit: Limit,
}

impl Row {
    /// A figure with its limit.
    pub(crate) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        limit: Limit,
    ) -> Row {
        Row { name: name.into(), value, unit, limit }
    }

    /// True when the figure keeps its limit.
    pub(crate) fn is_kept(&self) -> bool {
        match self.limit {
            Limit::AtLeast(limit) => self.value >= limit,
            Limit::AtMost(limit) => self.value <= limit,
            Limit::None => true,
        }
    }

    /// The figure over its limit: above 1 is better than asked for.
    fn ratio(&self) -> Option<f64> {
        match self.limit {
            Limit::AtLeast(limit) => Some(self.value / limit),
            Limit::AtMost(limit) => Some(limit / self.value),
            Limit::None => None,
        }
    }
}

/// The table as Markdown, which reads well in a terminal too.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut lines = vec![
        "| what | figure | limit | ratio | |".to_owned(),
        "| --- | ---: | ---: | ---: | --- |".to_owned(),
    ];
    for row in rows {
        let limit = match row.limit {
            Limit::AtLeast(limit) => format!("at least {}", number(limit)),
            Limit::AtMost(limit) => format!("at most {}", number(limit)),
            Limit::None => String::new(),
        };
        let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let verdict = match row.limit {
            Limit::None => "",
            _ if row.is_kept() => "kept",
            _ => "MISSED",
        };
        lines.push(format!(
            "| {} | {} {} | {limit} | {ratio} | {verdict} |",
            row.name,
            number(row.value),
            row.unit
        ));
    }
    lines.join("\n")
}

/// The table for machines.
pub(crate) fn json(rows: &[Row]) -> serde_json::Value {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (name, value, unit) = (&row.name, row.value, row.unit);
            json!({"name": name, "value": value, "unit": unit, "ratio": row.ratio(), "kept": row.is_kept()})
        })
        .collect();
    json!({ "figures": rows })
}

/// A number with thousands separated by spaces, and decimals only when it is small.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ratios_read_well() {
        assert_eq!(number(1_234_567.8), "1 234 568");
        assert_eq!(number(0.257), "0.26");
        let row = Row::new("memory", 75.0, "MB", Limit::AtMost(150.0));
        assert!(row.is_kept());
        assert_eq!(row.ratio(), Some(2.0));
    }
}
