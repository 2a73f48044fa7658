//! The programs that take code as an argument, and how.

/// How a program reads its arguments, as far as it concerns code.
#[derive(Debug)]
pub(super) struct Syntax {
    names: &'static [&'static str],
    /// Options of one letter that are followed by code.
    pub(super) code: &'static str,
    /// The same, of one letter or more, as they are written.
    pub(super) code_long: &'static [&'static str],
    /// Options that are followed by something else.
    pub(super) value: &'static str,
    pub(super) value_long: &'static [&'static str],
    /// Options that are followed by the file that holds the code.
    pub(super) script: &'static str,
    /// Options that name what is run, whose arguments the rest is.
    pub(super) program: &'static str,
    /// Options that the rest of their word belongs to.
    pub(super) attached: &'static str,
    pub(super) operands: Operands,
}

/// What words are that are no options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operands {
    /// The first is a file to run; without any, standard input is run.
    Script,
    /// The first is code, unless an option gave some.
    FirstCode,
    /// The first is code if `-c` is among the options.
    AfterFlag,
    /// Every word becomes part of a script, options too.
    AllCode,
    /// Something else, and options may follow.
    Skipped,
    /// Variables, and then a program with arguments of its own.
    Assignments,
}

const PLAIN: Syntax = Syntax {
    names: &[],
    code: "",
    code_long: &[],
    value: "",
    value_long: &[],
    script: "",
    program: "",
    attached: "",
    operands: Operands::Script,
};

static ALL: &[Syntax] = &[
    Syntax {
        names: &[
            "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "yash",
            "rbash", "nu", "xonsh",
        ],
        operands: Operands::AfterFlag,
        ..PLAIN
    },
    Syntax {
        names: &["python", "pypy"],
        code: "c",
        value: "WX",
        value_long: &["--check-hash-based-pycs"],
        program: "m",
        ..PLAIN
    },
    Syntax {
        names: &["node", "nodejs", "bun"],
        code: "ep",
        code_long: &["--eval", "--print", "-pe"],
        value: "rC",
        value_long: &[
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "--conditions",
            "--input-type",
            "--title",
        ],
        ..PLAIN
    },
    Syntax { names: &["perl"], code: "eE", value: "I", attached: "iFMmxCdDV", ..PLAIN },
    Syntax { names: &["ruby"], code: "e", value: "IrCE", attached: "iFKxWT", ..PLAIN },
    Syntax { names: &["php"], code: "rBRE", value: "dcz", script: "f", ..PLAIN },
    Syntax { names: &["lua", "luajit", "texlua"], code: "e", value: "l", ..PLAIN },
    Syntax { names: &["R", "Rscript"], code: "e", ..PLAIN },
    Syntax {
        names: &["julia"],
        code: "eE",
        code_long: &["--eval", "--print"],
        value: "LpCJtH",
        ..PLAIN
    },
    Syntax {
        names: &["elixir", "osascript", "groovy", "scala", "ghc", "racket"],
        code: "e",
        code_long: &["--eval"],
        ..PLAIN
    },
    Syntax { names: &["guile"], code: "c", value: "Ll", ..PLAIN },
    Syntax {
        names: &["awk", "gawk", "mawk", "nawk"],
        code: "e",
        code_long: &["--source"],
        value: "vF",
        value_long: &["--assign", "--field-separator", "--file"],
        script: "f",
        operands: Operands::FirstCode,
        ..PLAIN
    },
    Syntax {
        names: &["sed", "gsed"],
        code: "e",
        code_long: &["--expression"],
        value: "l",
        value_long: &["--line-length", "--file"],
        script: "f",
        attached: "i",
        operands: Operands::FirstCode,
        ..PLAIN
    },
    Syntax {
        names: &["su", "runuser", "script", "sg", "nix-shell"],
        code: "c",
        code_long: &["--command", "--session-command", "--run"],
        operands: Operands::Skipped,
        ..PLAIN
    },
    Syntax {
        names: &["env"],
        code: "S",
        code_long: &["--split-string"],
        value: "uC",
        operands: Operands::Assignments,
        ..PLAIN
    },
    Syntax { names: &["deno"], code_long: &["eval"], operands: Operands::Skipped, ..PLAIN },
    Syntax {
        names: &["pwsh", "powershell"],
        code_long: &["-Command", "-command", "-c"],
        operands: Operands::Skipped,
        ..PLAIN
    },
    Syntax {
        names: &["ssh", "slogin", "rsh", "autossh", "watch"],
        operands: Operands::AllCode,
        ..PLAIN
    },
];

/// How outputs are given to a program that runs its standard input.
pub(super) const ADVICE_ON_STDIN: &str = "standard input is what it runs; write the code in the \
    plan, and pass the output as an argument or in `env`";

/// Programs that run the program that their arguments name.
const WRAPPERS: &[&str] = &[
    "apptainer",
    "aws-vault",
    "bunx",
    "busybox",
    "bwrap",
    "chroot",
    "chrt",
    "command",
    "conda",
    "dbus-run-session",
    "direnv",
    "doas",
    "docker",
    "doppler",
    "dumb-init",
    "env",
    "exec",
    "fakeroot",
    "find",
    "firejail",
    "flock",
    "ionice",
    "kubectl",
    "limactl",
    "ltrace",
    "mpirun",
    "multipass",
    "nerdctl",
    "nice",
    "nix",
    "nohup",
    "npx",
    "nsenter",
    "numactl",
    "oc",
    "op",
    "parallel",
    "pipenv",
    "podman",
    "poetry",
    "prlimit",
    "proot",
    "runuser",
    "schroot",
    "script",
    "setpriv",
    "setsid",
    "singularity",
    "srun",
    "sshpass",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "time",
    "timeout",
    "tini",
    "toybox",
    "unbuffer",
    "unshare",
    "uv",
    "vagrant",
    "xargs",
    "xvfb-run",
];

/// Whether a program runs others.
pub(super) fn is_wrapper(name: &str) -> bool {
    WRAPPERS.contains(&name)
}

impl Syntax {
    /// How a program of this name reads its arguments, if it takes code.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|syntax| syntax.names.contains(&name))
    }

    /// Whether it runs its standard input if nothing else says what to run.
    pub(super) fn runs_stdin(&self) -> bool {
        matches!(self.operands, Operands::Script | Operands::AfterFlag)
    }

    pub(super) fn is_shell(&self) -> bool {
        self.operands == Operands::AfterFlag
    }

    pub(super) fn has_long(&self, word: &str) -> bool {
        self.code_long.contains(&word)
    }

    /// How outputs are given to it instead.
    pub(super) fn advice(&self) -> &'static str {
        match self.operands {
            Operands::AfterFlag => {
                "pass it as an argument, for example [sh, -c, 'echo \"$1\"', sh, \
                \"{{ITEM.output}}\"], or in `env`, and write \"$1\" or \"$NAME\" in the script"
            }
            Operands::AllCode => {
                "its arguments become one script, whatever they hold; pass it in `stdin`"
            }
            _ => "pass it as an argument after the code, or in `env` or `stdin`, and read it there",
        }
    }
}
