//! Commands that run one of their own arguments as code, and whether the output of another item
//! would become part of that code.
//!
//! A net under a mistake, as `shell:` has one, for the programs that plans use. It is no promise:
//! any program may take any argument for code.

mod syntax;

use syntax::{Operands, Syntax};

use super::stdin::StdinSource;
use crate::plan::resolve::{CommandText, TextPart};

/// Code that an output becomes part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Injection {
    /// The program that runs it, as it is written.
    pub(super) program: String,
    /// How outputs are given to it instead.
    pub(super) advice: &'static str,
}

/// What a program does with its arguments.
enum Reading {
    /// An output is part of code.
    Injected,
    /// Nothing but standard input says what is run.
    FromStdin,
    Harmless,
}

/// Looks for the first program among the words of a command that takes code with an output in it.
pub(super) fn injection(argv: &[CommandText], stdin: Option<&StdinSource>) -> Option<Injection> {
    let is_wrapped = program_of(argv.first()?).is_some_and(syntax::is_wrapper);
    let mut is_first = true;
    for (at, word) in argv.iter().enumerate() {
        let Some(syntax) = program_of(word).and_then(Syntax::of) else { continue };
        let rest = &argv[at + 1..];
        // A word that is called like a program is mostly none, unless something runs programs.
        let is_program = at == 0
            || is_wrapped
            || word.as_known().is_some_and(|word| word.starts_with('/'))
            || (syntax.is_shell() && rest.first().is_some_and(|next| has_letter(next, 'c')));
        if !is_program {
            continue;
        }
        let reading = syntax.read(rest);
        let advice = match reading {
            Reading::Injected => Some(syntax.advice()),
            Reading::FromStdin => (is_first && stdin.is_some_and(StdinSource::is_made_of_outputs))
                .then_some(syntax::ADVICE_ON_STDIN),
            Reading::Harmless => None,
        };
        if let Some(advice) = advice {
            let program = word.as_known().unwrap_or_default().to_owned();
            return Some(Injection { program, advice });
        }
        is_first &= !syntax.runs_stdin();
    }
    None
}

/// The name of a program without its directory, version and suffix, if all of it is known.
fn program_of(word: &CommandText) -> Option<&str> {
    let name = word.as_known()?.rsplit('/').next()?;
    let name = name.strip_suffix(".exe").unwrap_or(name);
    Some(name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-')))
}

/// What is known of the beginning of a word.
fn beginning(word: &CommandText) -> &str {
    match word.0.first() {
        Some(TextPart::Known(text)) => text,
        _ => "",
    }
}

fn has_output(word: &CommandText) -> bool {
    word.outputs().next().is_some()
}

/// Whether a word is a cluster of options with this one among them.
fn has_letter(word: &CommandText, letter: char) -> bool {
    let text = beginning(word);
    text.starts_with('-') && !text.starts_with("--") && text.contains(letter)
}

impl Syntax {
    fn read(&self, words: &[CommandText]) -> Reading {
        match self.operands {
            Operands::AllCode => match words.iter().any(has_output) {
                true => Reading::Injected,
                false => Reading::Harmless,
            },
            Operands::AfterFlag => Self::read_shell(words),
            _ => self.read_options(words),
        }
    }

    /// Of a shell: `-c` says that the first word that is no option is code.
    fn read_shell(words: &[CommandText]) -> Reading {
        let (mut is_code, mut is_stdin, mut skipped) = (false, false, 0);
        for (at, word) in words.iter().enumerate() {
            if skipped > 0 {
                skipped -= 1;
                continue;
            }
            let text = beginning(word);
            let is_option = text.len() > 1 && (text.starts_with('-') || text.starts_with('+'));
            if text == "--" {
                return Self::code_or_script(words.get(at + 1), is_code, is_stdin);
            }
            if !is_option {
                return Self::code_or_script(Some(word), is_code, is_stdin);
            }
            if let Some(long) = text.strip_prefix("--") {
                let (name, value) =
                    long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                match (name, value) {
                    ("command" | "init-command", Some(_)) if has_output(word) => {
                        return Reading::Injected;
                    }
                    ("command" | "init-command", None) => is_code = true,
                    ("rcfile" | "init-file", None) => skipped = 1,
                    _ => {}
                }
                continue;
            }
            for letter in text.chars().skip(1) {
                match letter {
                    'c' | 'C' => is_code |= letter == 'c',
                    's' => is_stdin = true,
                    'o' | 'O' => skipped += 1,
                    _ => {}
                }
            }
        }
        Self::code_or_script(None, is_code, is_stdin)
    }

    fn code_or_script(operand: Option<&CommandText>, is_code: bool, is_stdin: bool) -> Reading {
        match operand {
            Some(code) if is_code && has_output(code) => Reading::Injected,
            Some(_) if is_code => Reading::Harmless,
            Some(word) if !is_stdin && word.as_known() != Some("-") => Reading::Harmless,
            _ => Reading::FromStdin,
        }
    }

    /// Of a program some of whose options take code.
    fn read_options(&self, words: &[CommandText]) -> Reading {
        let mut words = words.iter();
        let mut has_code = false;
        while let Some(word) = words.next() {
            let text = beginning(word);
            if word.as_known().is_some_and(|word| self.has_long(word)) {
                has_code = true;
                if words.next().is_some_and(has_output) {
                    return Reading::Injected;
                }
                continue;
            }
            let Some(option) = text.strip_prefix('-').filter(|option| !option.is_empty()) else {
                match self.operands {
                    Operands::Skipped => continue,
                    Operands::Assignments if text.contains('=') => continue,
                    Operands::FirstCode if !has_code && has_output(word) => {
                        return Reading::Injected;
                    }
                    Operands::Script if !has_code && word.as_known() == Some("-") => {
                        return Reading::FromStdin;
                    }
                    _ => return Reading::Harmless,
                }
            };
            let given =
                if option.starts_with('-') { self.long(text) } else { self.cluster(option) };
            match given {
                Given::Code { attached } => {
                    has_code = true;
                    let code = if attached { Some(word) } else { words.next() };
                    if code.is_some_and(has_output) {
                        return Reading::Injected;
                    }
                }
                Given::Value { attached, is_script } => {
                    has_code |= is_script;
                    if !attached {
                        words.next();
                    }
                }
                Given::Program => return Reading::Harmless,
                Given::Nothing => {}
            }
        }
        match self.operands {
            Operands::Script if !has_code => Reading::FromStdin,
            _ => Reading::Harmless,
        }
    }

    fn long(&self, text: &str) -> Given {
        let (name, attached) = match text.split_once('=') {
            Some((name, _)) => (name, true),
            None => (text, false),
        };
        if self.code_long.contains(&name) {
            Given::Code { attached }
        } else if self.value_long.contains(&name) {
            Given::Value { attached, is_script: name == "--file" }
        } else {
            Given::Nothing
        }
    }

    fn cluster(&self, option: &str) -> Given {
        for (at, letter) in option.char_indices() {
            let attached = option.len() > at + letter.len_utf8();
            if self.code.contains(letter) {
                // What follows an output that begins here is code as well.
                return Given::Code { attached };
            } else if self.value.contains(letter) || self.script.contains(letter) {
                return Given::Value { attached, is_script: self.script.contains(letter) };
            } else if self.program.contains(letter) {
                return Given::Program;
            } else if self.attached.contains(letter) {
                return Given::Nothing;
            }
        }
        Given::Nothing
    }
}

/// What an option is followed by.
enum Given {
    Code {
        attached: bool,
    },
    Value {
        attached: bool,
        is_script: bool,
    },
    /// What runs, by name: the rest is for that.
    Program,
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words separated by spaces; `@` stands for an output, also within a word.
    fn words(command: &str) -> Vec<CommandText> {
        let part = |text: &str| match text {
            "@" => TextPart::Output { output_of: "a".parse().unwrap(), name: None },
            text => TextPart::Known(text.replace('_', " ")),
        };
        let word = |word: &str| {
            let parts = word.split_inclusive('@').flat_map(|piece| {
                let known = piece.trim_end_matches('@');
                let is_followed = piece.ends_with('@');
                [(!known.is_empty()).then_some(known), is_followed.then_some("@")]
            });
            CommandText(parts.flatten().map(part).collect())
        };
        command.split(' ').map(word).collect()
    }

    #[test]
    fn an_output_is_not_run_as_code() {
        let refused = [
            "sh -c echo_@",
            "/bin/sh -c @",
            "bash -euo pipefail -c echo_@",
            "bash -ceuo pipefail @",
            "bash --rcfile x -lc @",
            "zsh -c -- @",
            "fish --command=@",
            "env -i A=b sh -c @",
            "env -S sh_-c_@",
            "timeout 5 /usr/bin/dash -ec @",
            "sudo -u bob bash -c @",
            "docker exec box sh -c @",
            "my-wrapper -- sh -c @",
            "find . -exec sh -c @ ;",
            "python3 -c print(@)",
            "python3.12 -Ic @",
            "python -W ignore -cprint(@)",
            "node -e @",
            "node --require x --eval=f(@)",
            "node -pe @",
            "deno eval @",
            "perl -lane print_@",
            "perl -i -pe @ file",
            "ruby -rjson -e @",
            "php -r @",
            "awk {_print_@_} file",
            "awk -v x=1 @",
            "sed -e s/x/@/ file",
            "ssh host run @",
            "ssh @ uptime",
            "su bob -c @",
            "pwsh -Command @",
        ];
        for command in refused {
            assert!(injection(&words(command), None).is_some(), "{command}");
        }
        let taken = [
            "sh -c echo_\"$1\" sh @",
            "sh script.sh -c @",
            "sh -c exec_\"$*\" sh cat @",
            "env A=@ sh -c echo_\"$A\"",
            "python3 script.py -c @",
            "python3 -m tool -c @",
            "python3 -c code @",
            "python3 -W @ script.py",
            "node app.js -e @",
            "perl -e code @",
            "awk -f prog.awk @",
            "awk -v x=@ code",
            "sed -f script @",
            "grep -c @ file",
            "grep -r node -e @",
            "claude -p Review_this:_@",
            "echo @",
        ];
        for command in taken {
            assert_eq!(injection(&words(command), None), None, "{command}");
        }
    }

    #[test]
    fn standard_input_is_code_where_nothing_else_is() {
        let stdin = StdinSource::Text(words("@").remove(0));
        let is_code = |command: &str| injection(&words(command), Some(&stdin)).is_some();
        for command in
            ["sh", "bash -s x", "timeout 5 sh", "env A=b sh", "python3 -", "node", "ruby"]
        {
            assert!(is_code(command), "{command}");
        }
        for command in
            ["sh -c cat", "sh script.sh", "cat", "sh -c cat sh", "python3 -c code", "ssh host cat"]
        {
            assert!(!is_code(command), "{command}");
        }
        assert_eq!(injection(&words("sh"), Some(&StdinSource::Text(words("x").remove(0)))), None);
    }
}
