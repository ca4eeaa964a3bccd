//! Values of metrics over a window: from scrapes, one after the other, or from Prometheus.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::CanaryError;

type Labels = BTreeMap<String, String>;

/// Values by series in the order of time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Values with the number of the scrape in which they were seen.
    values: BTreeMap<(String, Labels), Vec<(usize, f64)>>,
    scrapes: usize,
    /// Series of several processes, each scraped at times of its own: none is missing because another one
    /// has a later value, and what was before the window is unknown.
    is_merged: bool,
}

impl Series {
    /// Reads exposition text with one scrape or several, each ended by `# EOF` or by the end.
    ///
    /// # Errors
    ///
    /// [`CanaryError::Metrics`] with the line.
    pub fn parse(text: &str) -> Result<Self, CanaryError> {
        let mut series = Self::default();
        let mut is_open = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line == "# EOF" {
                (series.scrapes, is_open) = (series.scrapes + 1, false);
            } else if !line.is_empty() && !line.starts_with('#') {
                let wrong = |message| CanaryError::Metrics { line: number + 1, message };
                let (name, labels, value) = sample(line).map_err(wrong)?;
                series.values.entry((name, labels)).or_default().push((series.scrapes, value));
                is_open = true;
            }
        }
        series.scrapes += usize::from(is_open);
        Ok(series)
    }

    /// Appends the scrapes of another text behind those that are there.
    pub fn append(&mut self, later: Self) {
        for (key, values) in later.values {
            let shifted = values.into_iter().map(|(scrape, value)| (scrape + self.scrapes, value));
            self.values.entry(key).or_default().extend(shifted);
        }
        self.scrapes += later.scrapes;
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a Labels,
    ) -> impl Iterator<Item = (&'a Labels, &'a [(usize, f64)])> {
        let fits =
            move |have: &Labels| labels.iter().all(|(key, want)| have.get(key) == Some(want));
        let named =
            self.values.iter().filter(move |((known, have), _)| known == name && fits(have));
        named.map(|((_, have), values)| (have, values.as_slice()))
    }

    /// Growth of a counter over the window, summed over the series that fit; `None` when none does.
    ///
    /// A single scrape counts from the start of the process. A value that is lower than the one before
    /// is a restart, and counts from zero; so does a series that appears after the first scrape.
    #[must_use]
    pub fn increase(&self, name: &str, labels: &Labels) -> Option<f64> {
        let grown = self.matching(name, labels).map(|(_, values)| self.growth(values));
        grown.reduce(|a, b| a + b)
    }

    fn growth(&self, values: &[(usize, f64)]) -> f64 {
        let (first_at, first) = values[0];
        let from_zero = !self.is_merged && (self.scrapes == 1 || first_at > 0);
        let start = if from_zero { first } else { 0.0 };
        values.windows(2).fold(start, |sum, pair| {
            let (before, after) = (pair[0].1, pair[1].1);
            sum + if after < before { after } else { after - before }
        })
    }

    /// The largest last value; a series that is gone from the last scrape has none.
    #[must_use]
    pub fn last(&self, name: &str, labels: &Labels) -> Option<f64> {
        let fitting = self.matching(name, labels);
        let now = fitting.filter_map(|(_, values)| {
            let now = |at: usize| self.is_merged || at + 1 == self.scrapes;
            values.last().filter(|(at, _)| now(*at)).map(|(_, value)| *value)
        });
        now.reduce(f64::max)
    }

    /// The largest value of the window.
    #[must_use]
    pub fn max(&self, name: &str, labels: &Labels) -> Option<f64> {
        let all = self.matching(name, labels).flat_map(|(_, values)| values);
        all.map(|(_, value)| *value).reduce(f64::max)
    }

    /// Upper bound of the bucket in which a quantile of a histogram's growth lies; `None` when nothing
    /// was observed. Infinity when it lies above the last bound.
    #[must_use]
    pub fn quantile(&self, name: &str, labels: &Labels, q: f64) -> Option<f64> {
        let bucket = format!("{name}_bucket");
        let mut grown: Vec<(f64, f64)> = Vec::new();
        for (have, values) in self.matching(&bucket, labels) {
            let bound = number(have.get("le")?)?;
            match grown.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += self.growth(values),
                None => grown.push((bound, self.growth(values))),
            }
        }
        grown.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = grown.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
        grown.iter().find(|(_, count)| *count >= q * total).map(|(bound, _)| *bound)
    }
}

/// Reads the answer of Prometheus to a range selector, such as `up[10m]`.
///
/// # Errors
///
/// [`CanaryError::Metrics`] when it is no successful answer with a matrix.
pub fn parse_prometheus_json(text: &str) -> Result<Series, CanaryError> {
    #[derive(Deserialize)]
    struct Answer {
        status: String,
        #[serde(default)]
        error: String,
        data: Option<Matrix>,
    }
    #[derive(Deserialize)]
    struct Matrix {
        result: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        metric: Labels,
        values: Vec<(f64, String)>,
    }
    let wrong = |message: String| CanaryError::Metrics { line: 1, message };
    let answer: Answer = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let Some(matrix) = answer.data.filter(|_| answer.status == "success") else {
        return Err(wrong(format!("Prometheus says {}: {}", answer.status, answer.error)));
    };
    let mut series = Series { is_merged: true, ..Series::default() };
    for mut row in matrix.result {
        let name = row.metric.remove("__name__").unwrap_or_default();
        let mut values = Vec::with_capacity(row.values.len());
        for (index, (_, value)) in row.values.iter().enumerate() {
            let value = number(value).ok_or_else(|| wrong(format!("`{value}` is no number")))?;
            values.push((index, value));
        }
        series.scrapes = series.scrapes.max(values.len());
        if !values.is_empty() {
            series.values.insert((name, row.metric), values);
        }
    }
    Ok(series)
}

/// One line: name, labels, value; a timestamp and an exemplar may follow.
fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace());
    let name_end = name_end.ok_or("expected a name and a value")?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    let value = rest.split_whitespace().next().ok_or("expected a value")?;
    let value =
        number(value).ok_or_else(|| format!("`{}` is no number", value.escape_default()))?;
    Ok((name.into(), labels, value))
}

/// Labels up to the closing brace; what stands behind it.
fn read_labels<'a>(mut text: &'a str, labels: &mut Labels) -> Result<&'a str, String> {
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok(rest);
        }
        let (key, value) = text.split_once("=\"").ok_or("expected label=\"value\"")?;
        let (mut out, mut chars, mut end) = (String::new(), value.char_indices(), None);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, other)) => out.push(other),
                    None => {}
                },
                other => out.push(other),
            }
        }
        labels.insert(key.trim().into(), out);
        text = &value[end.ok_or("a label has no end")?..];
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // The language of metrics has none of the other words that Rust reads.
        other if other.contains(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E') => None,
        other => other.parse().ok(),
    }
}
