"""The manual pages, the README, the default configuration file and the programs' own --help tell of the same
commands and options."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["FORKECHO_BUILD"])
TOP = pathlib.Path(__file__).resolve().parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
HELP_COLUMN = 30  # where CLI11 begins a description
NO_COMMAND = ""
PROCESSORS = len(os.sched_getaffinity(0))
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


class Program:
    """What a program's --help says: {command: {option: default or None}}."""

    def __init__(self, name, page):
        self.name = name
        self.page = ManualPage(TOP / page)
        self.commands = {NO_COMMAND: self.options_of()}
        subcommands = self.help().partition("Subcommands:\n")[2].partition("\n\n")[0]
        for command in re.findall(r"^  (\S+)", subcommands, re.MULTILINE):
            self.commands[command] = self.options_of(command)

    def help(self, *command):
        return subprocess.run([BUILD / self.name, *command, "--help"], check=True, capture_output=True,
                              text=True, timeout=30).stdout

    def options_of(self, *command):
        lines = self.help(*command).splitlines()
        options = {}
        for line, after in zip(lines, lines[1:] + [""]):
            if not line.startswith("  -"):
                continue
            described_below = after.startswith(" " * HELP_COLUMN)
            head = line if described_below else line[:HELP_COLUMN]
            names, _, kind = head.strip().partition(" ")
            kind = re.split(r" (?:Excludes|Needs):| REQUIRED| \.\.\.", kind)[0]
            default = kind.partition("=")[2].strip("[] ") or None
            options.update(dict.fromkeys(names.split(","), default))
        return options

    def all_options(self):
        return {option for options in self.commands.values() for option in options}


class ManualPage:
    """A page in mdoc. OPTIONS has a subsection for each group of options, whose title names the commands
    that have them: `run, start: limits`."""

    def __init__(self, path):
        self.path = path
        self.source = path.read_text(encoding="utf-8")

    def section(self, title):
        return self.source.partition(f"\n.Sh {title}\n")[2].partition("\n.Sh ")[0]

    def options(self, every_command):
        """{(command, option): the text of its item}"""
        found = {}
        for subsection in self.section("OPTIONS").split("\n.Ss ")[1:]:
            title, _, body = subsection.partition("\n")
            commands = {"All commands": every_command,
                        "Without a command": [NO_COMMAND]}.get(title) or title.partition(":")[0].split(", ")
            for item in body.split("\n.It Fl ")[1:]:
                names, _, text = item.partition("\n")
                for name in re.findall(r"(?:^|Fl )(-?[\w-]+)", names):
                    for command in commands:
                        found[command, "-" + name] = plain(text)
        return found

    def commands_of(self, section):
        pattern = r"^\.It Cm (\S+)" if section == "COMMANDS" else r"^\.Cm (\S+)"
        return set(re.findall(pattern, self.section(section), re.MULTILINE))

    def exit_codes(self):
        return set(re.findall(r"^\.It (\d+)", self.section("EXIT STATUS"), re.MULTILINE))


def plain(mdoc):
    """Without its macros."""
    lines = [re.sub(r"^\.[A-Z][a-z] ?", "", line) for line in mdoc.splitlines()]
    return " ".join(re.sub(r"\\&", "", line) for line in lines)


def default_in(text):
    """What the last sentence about a default says."""
    return text.rpartition("The default")[2] if "The default" in text else ""


def says(text, default):
    return re.search(rf"(?<![\w.]){re.escape(default)}(?!\w)", text) is not None


DAEMON = Program("forkechod", "server/forkechod.8")
CLIENT = Program("forkecho", "client/forkecho.1")
PROGRAMS = (DAEMON, CLIENT)
# Their defaults differ from machine to machine, or from user to user.
FOR_EACH_PROCESSOR = {"--pool-start", "--pool-min-spare", "--pool-max-spare", "--pool-max"}
FOR_EACH_USER = {"--control", "--pidfile"}
NOT_IN_A_FILE = {"-h", "--help", "--config"}
LEFT_TO_THE_UNIT = FOR_EACH_USER | {"--log-file"}
# These have no default that could be written down; comments of the file tell of them.
WITHOUT_A_DEFAULT = {"--accept-burst", "--access-log", "--chroot", "--exempt", "--final-status", "--group", "--metrics",
                     "--user"}


class ManualPages(unittest.TestCase):
    def test_they_are_clean(self):
        pages = [program.page.path for program in PROGRAMS]
        done = subprocess.run(["mandoc", "-T", "lint", *pages], capture_output=True, text=True, timeout=60)
        # Which pages it finds depends on the machine.
        lines = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
        self.assertEqual(lines, [])

    def test_they_name_every_command(self):
        for program in PROGRAMS:
            with self.subTest(program.name):
                commands = set(program.commands) - {NO_COMMAND}
                self.assertGreater(len(commands), 3)
                self.assertEqual(program.page.commands_of("COMMANDS"), commands)
                self.assertEqual(program.page.commands_of("SYNOPSIS"), commands)

    def test_they_have_every_option_of_every_command_and_no_other(self):
        for program in PROGRAMS:
            with self.subTest(program.name):
                of_help = {(command, option) for command, options in program.commands.items() for option in options}
                self.assertGreater(len(of_help), 25)
                self.assertEqual(set(program.page.options(program.commands)), of_help)

    def test_they_give_every_default(self):
        for program in PROGRAMS:
            with self.subTest(program.name):
                for (command, option), text in program.page.options(program.commands).items():
                    default = program.commands.get(command, {}).get(option)
                    with self.subTest(command=command, option=option):
                        if option in FOR_EACH_PROCESSOR:
                            sentence = default_in(text)
                            each = int(re.search(r"(\d+) for each processor", sentence)[1])
                            self.assertEqual(default, str(each * PROCESSORS))
                        elif default is None:
                            self.assertNotIn("The default", text)
                        elif option not in FOR_EACH_USER:
                            self.assertTrue(says(default_in(text), default), f"{default!r} is not in {text!r}")

    def test_they_have_every_exit_code(self):
        for program, header in ((DAEMON, "server/exit_code.h"), (CLIENT, "client/exit_code.h")):
            codes = set(re.findall(r"= (\d+),", (TOP / header).read_text(encoding="utf-8")))
            self.assertEqual(program.page.exit_codes(), codes)


class DefaultConfiguration(unittest.TestCase):
    """Every option that a file can have, commented out, with its default."""

    source = (TOP / "server/forkechod.conf").read_text(encoding="utf-8")

    def test_it_has_every_option_with_its_default(self):
        lines = dict(re.findall(r"^#([a-z][a-z-]*) = (.*)$", self.source, re.MULTILINE))
        options = DAEMON.commands["run"]
        self.assertEqual({"--" + name for name in lines}, set(options) - NOT_IN_A_FILE - LEFT_TO_THE_UNIT - WITHOUT_A_DEFAULT)
        for option in WITHOUT_A_DEFAULT:
            self.assertRegex(self.source, f"(?m)^# .*{option[2:]} = ")
        for name, value in lines.items():
            if "--" + name not in FOR_EACH_PROCESSOR:
                default = options["--" + name]
                self.assertEqual(value.strip('"'), "0" if default == "off" else default, name)

    def test_it_can_be_used_as_it_is_and_with_every_line_of_it(self):
        with tempfile.TemporaryDirectory(prefix="forkecho-conf-") as folder:
            file = pathlib.Path(folder) / "forkechod.conf"
            for text in (self.source, re.sub(r"^#(?=[a-z-]+ = )", "", self.source, flags=re.MULTILINE)):
                file.write_text(text, encoding="utf-8")
                done = subprocess.run([BUILD / "forkechod", "check", "--config", file],
                                      capture_output=True, text=True, timeout=30)
                self.assertEqual((done.returncode, done.stderr), (0, ""))


class Readme(unittest.TestCase):
    @staticmethod
    def part(title):
        return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]

    def test_its_table_has_every_option_of_the_daemon(self):
        rows = re.findall(r"^\| (`--.*)\|$", self.part("forkechod"), re.MULTILINE)
        places = {option: row for row in rows for option in OPTION.findall(row.partition(" | ")[0])}
        options = {option: default for option, default in DAEMON.commands["run"].items()
                   if option not in ("-h", "--help")}
        self.assertEqual(set(places), set(options))
        for option, default in options.items():
            if default and option not in FOR_EACH_PROCESSOR | FOR_EACH_USER:
                with self.subTest(option=option):
                    self.assertTrue(says(places[option].rpartition(" | ")[2], default),
                                    f"{default!r} is not in {places[option]!r}")

    def test_it_names_no_option_that_there_is_not(self):
        for program in PROGRAMS:
            with self.subTest(program.name):
                named = set(OPTION.findall(self.part(program.name)))
                self.assertGreater(len(named), 8)
                self.assertLessEqual(named, program.all_options())

    def test_it_names_every_command(self):
        for program in PROGRAMS:
            with self.subTest(program.name):
                lines = re.findall(rf"^    {program.name} (.*)$", self.part(program.name), re.MULTILINE)
                named = {word for line in lines for word in line.partition("[")[0].replace("|", " ").split()}
                self.assertLessEqual(set(program.commands) - {NO_COMMAND}, named)


if __name__ == "__main__":
    unittest.main()
