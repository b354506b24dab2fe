//! Which figures and labels an expression of PromQL names. It reads names and nothing else: whether the expression
//! means anything is promtool's part.

/// One figure in an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub figure: String,
    /// Labels that it is selected by, with the text that they are compared with.
    pub matchers: Vec<(String, String)>,
}

/// What an expression names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub figures: Vec<Named>,
    /// Labels of `by`, `without`, `on` and the like.
    pub labels: Vec<String>,
}

const WORDS: [&str; 19] = [
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "topk",
    "bottomk",
    "quantile",
    "stddev",
    "group",
    "atan2",
    "inf",
    "nan",
    "count_values",
];
const LABEL_LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

pub(super) fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let tail = &rest[first.len_utf8()..];
        rest = match first {
            '"' | '\'' => past(tail, first),
            '[' => past(tail, ']'),
            '{' => {
                let (matchers, behind) = matchers(tail);
                match names.figures.last_mut() {
                    Some(figure) => figure.matchers = matchers,
                    None => names.figures.push(Named { matchers, ..Named::default() }),
                }
                behind
            }
            '0'..='9' => rest.trim_start_matches(|it: char| it.is_ascii_alphanumeric() || it == '.'),
            _ if is_name(first) => {
                let (name, behind) = word(rest);
                let call = behind.trim_start().strip_prefix('(');
                match call {
                    Some(list) if LABEL_LISTS.contains(&name) => {
                        let (labels, behind) = list.split_once(')').unwrap_or((list, ""));
                        let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
                        names.labels.extend(labels.map(ToOwned::to_owned));
                        behind
                    }
                    Some(_) => behind,
                    None if WORDS.contains(&name) || LABEL_LISTS.contains(&name) => behind,
                    None => {
                        names.figures.push(Named { figure: name.to_owned(), matchers: Vec::new() });
                        behind
                    }
                }
            }
            _ => tail,
        };
    }
    names
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_' || letter == ':'
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|it: char| !is_name(it) && !it.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// What stands behind the next such letter.
fn past(text: &str, letter: char) -> &str {
    text.split_once(letter).map_or("", |(_, behind)| behind)
}

/// What stands between braces, and what behind them.
fn matchers(text: &str) -> (Vec<(String, String)>, &str) {
    let mut matchers = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|it: char| it.is_whitespace() || it == ',');
        if rest.is_empty() || rest.starts_with('}') {
            return (matchers, rest.strip_prefix('}').unwrap_or(""));
        }
        let (label, behind) = word(rest);
        let Some((_, value)) = behind.split_once('"').filter(|_| !label.is_empty()) else { return (matchers, "") };
        let (value, behind) = value.split_once('"').unwrap_or((value, ""));
        matchers.push((label.to_owned(), value.to_owned()));
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(expression: &str) -> Vec<String> {
        names(expression).figures.into_iter().map(|named| named.figure).collect()
    }

    #[test]
    fn functions_words_and_numbers_are_no_figures() {
        let expression = "sum by (instance) (rate(a_total[5m])) / 1e3 > bool 14.4 * 0.001 and b:c offset 30s == 0";
        assert_eq!(figures(expression), ["a_total", "b:c"]);
        assert_eq!(names(expression).labels, ["instance"]);
    }

    #[test]
    fn what_stands_in_a_text_is_no_figure() {
        let names = names("label_replace(up{job=\"no_figure\", pod=~\"x|y\"}, \"dst\", \"$1\", \"src\", \".*\")");
        assert_eq!(names.figures.len(), 1);
        assert_eq!(names.figures[0].matchers, [("job".into(), "no_figure".into()), ("pod".into(), "x|y".into())]);
    }

    #[test]
    fn a_figure_without_braces_keeps_none_of_the_next() {
        assert_eq!(names("a + b{c=\"d\"}").figures[0].matchers, []);
    }
}
