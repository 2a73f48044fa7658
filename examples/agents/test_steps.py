"""The steps of this example and the stand-in for `claude`, without the engine.

    python3 -m unittest examples/agents/test_steps.py
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = ["-p", "--output-format", "stream-json", "--verbose", "--max-turns", "20", "--max-budget-usd", "0.50", "--allowedTools"]
EDITING, READING = "Read,Glob,Grep,Edit(build/repo/bill/**),Bash(python3 -m unittest:*)", "Read,Glob,Grep"
REVIEW = "# Review a change\n\nthe change stands here\n"


class Sessions(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        # Steps work in the plan's directory; a copy of it keeps `build/` of the real one alone.
        self.dir = self.scratch / "agents"
        shutil.copytree(HERE, self.dir, ignore=shutil.ignore_patterns("build", "__pycache__"))
        self.step("checkout", "repo", "build/repo")

    def session(self, command, stdin="", **env):
        session = {"PYTHONDONTWRITEBYTECODE": "1", "ANTIPHON_RESULT": str(self.scratch / "result.json"), **env}
        return subprocess.run(command, cwd=self.dir, env=os.environ | session, input=stdin, capture_output=True, text=True)

    def step(self, script, *arguments, stdin="", code=0):
        ended = self.session([sys.executable, f"steps/{script}.py", *arguments], stdin)
        self.assertEqual(ended.returncode, code, ended.stderr)
        return ended

    def claude(self, prompt=None, tools=EDITING, mode="", code=0):
        prompt = (self.dir / "prompts/fix.md").read_text(encoding="utf-8") if prompt is None else prompt
        ended = self.session([sys.executable, "stand-in/claude", *FLAGS, tools], prompt, CLAUDE_STAND_IN=mode)
        self.assertEqual((ended.returncode, ended.stderr), (code, ""))
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def kinds(self, lines):
        return [line["type"] for line in lines]


class Mending(Sessions):
    def test_the_package_is_broken_and_the_stand_in_fixes_it(self):
        broken = self.step("verify", "repo", "build/repo", code=1)
        self.assertEqual(broken.stderr, "verify.py: the tests of build/repo fail\n")
        lines = self.claude()
        self.assertEqual(self.kinds(lines), ["system", "rate_limit_event", "assistant", "assistant", "user", "assistant", "result"])
        result = lines[-1]
        self.assertEqual((result["subtype"], result["is_error"], result["permission_denials"]), ("success", False, []))
        self.assertIn("Ran 4 tests", self.step("verify", "repo", "build/repo").stdout)
        self.step("diff", "repo", "build/repo", "build/fix.patch")
        patch = json.loads((self.scratch / "result.json").read_text(encoding="utf-8"))["output"]["patch"]
        self.assertEqual(patch, (self.dir / "build/fix.patch").read_text(encoding="utf-8"))
        self.assertIn("-    return [cents // people] * people\n+    share, left_over = divmod(cents, people)\n", patch)
        again = self.claude()
        self.assertFalse(again[-1]["is_error"])
        self.step("verify", "repo", "build/repo")

    def test_usage_by_model_adds_up_to_the_cost_and_holds_more_than_the_main_agent(self):
        result = self.claude()[-1]
        models = result["modelUsage"].values()
        self.assertAlmostEqual(sum(model["costUSD"] for model in models), result["total_cost_usd"])
        fresh = sum(model["inputTokens"] + model["outputTokens"] + model["cacheCreationInputTokens"] for model in models)
        usage = result["usage"]
        main = usage["input_tokens"] + usage["output_tokens"] + usage["cache_creation_input_tokens"]
        self.assertEqual((fresh, main, result["total_cost_usd"]), (2970, 2370, 0.0421))

    def test_a_lie_is_told_with_success_and_does_not_pass_the_check(self):
        result = self.claude(mode="lie")[-1]
        self.assertEqual((result["subtype"], result["is_error"]), ("success", False))
        self.step("verify", "repo", "build/repo", code=1)
        nothing = self.step("diff", "repo", "build/repo", "build/fix.patch", code=1)
        self.assertEqual(nothing.stderr, "diff.py: build/repo is the same as repo; there is nothing to review\n")

    def test_tests_that_were_changed_do_not_pass_the_check(self):
        self.claude()
        tests = self.dir / "build/repo/tests/test_split.py"
        tests.write_text("", encoding="utf-8")
        ended = self.step("verify", "repo", "build/repo", code=1)
        self.assertEqual(ended.stderr, "verify.py: build/repo/tests/test_split.py is not as it was; the tests are not the agent's to change\n")

    def test_a_checkout_begins_anew(self):
        self.claude()
        self.step("checkout", "repo", "build/repo")
        self.step("verify", "repo", "build/repo", code=1)


class Reviewing(Sessions):
    def test_the_verdict_is_the_last_line(self):
        for mode, code in (("", 0), ("disapprove", 1)):
            review = self.claude(REVIEW, READING, mode)[-1]["result"]
            self.assertEqual(self.step("accept", stdin=review, code=code).stdout, f"{review}\n")

    def test_a_review_without_a_verdict_accepts_nothing(self):
        for review in ("", "It is APPROVED, I would say.", "APPROVED\n\nor is it?"):
            ended = self.step("accept", stdin=review, code=1)
            self.assertEqual(ended.stderr, "accept.py: the last line of the review is neither APPROVED nor REJECTED\n")


class StandIn(Sessions):
    def test_a_limit_is_reached_until_it_resets(self):
        lines = self.claude(mode="rejected", code=1)
        self.assertEqual(self.kinds(lines), ["system", "rate_limit_event", "assistant", "result"])
        quota, result = lines[1]["rate_limit_info"], lines[-1]
        self.assertEqual(quota["status"], "rejected")
        self.assertGreater(quota["resetsAt"], time.time() + 4 * 3600)
        self.assertEqual((result["is_error"], result["api_error_status"], result["modelUsage"]), (True, 429, {}))
        self.assertRegex(result["result"], r"^You've hit your limit · resets \d{1,2}:\d\d[ap]m \(UTC\)$")
        later = int(time.time()) + 3600
        self.assertEqual(self.claude(mode=f"rejected:{later}", code=1)[1]["rate_limit_info"]["resetsAt"], later)
        self.assertFalse(self.claude(mode="rejected:1")[-1]["is_error"])

    def test_an_error_comes_with_the_exit_code_of_success(self):
        result = self.claude(mode="error")[-1]
        self.assertEqual((result["subtype"], result["is_error"], result["api_error_status"]), ("success", True, 500))
        self.step("verify", "repo", "build/repo", code=1)

    def test_an_edit_that_was_not_allowed_is_denied(self):
        result = self.claude(tools=READING)[-1]
        self.assertEqual([denial["tool_name"] for denial in result["permission_denials"]], ["Edit"])
        self.step("verify", "repo", "build/repo", code=1)

    def test_a_budget_that_is_too_small_ends_the_run(self):
        of_a_cent = ["0.01" if flag == "0.50" else flag for flag in FLAGS]
        ended = self.session([sys.executable, "stand-in/claude", *of_a_cent, EDITING], "fix it")
        result = json.loads(ended.stdout.splitlines()[-1])
        self.assertEqual((result["subtype"], result["is_error"], "result" in result), ("error_max_budget_usd", True, False))

    def test_what_the_real_one_refuses_is_refused(self):
        def refusal(flags, prompt="fix it"):
            ended = self.session([sys.executable, "stand-in/claude", *flags], prompt)
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            return ended.stderr

        self.assertIn("requires --verbose", refusal([flag for flag in FLAGS[:-1] if flag != "--verbose"]))
        self.assertIn("unrecognized arguments: --colour", refusal([*FLAGS[:-1], "--colour"]))
        self.assertIn("Input must be provided", refusal(FLAGS[:-1], prompt=" \n"))

    def test_it_can_hang_until_it_is_ended(self):
        command = [sys.executable, "stand-in/claude", *FLAGS, EDITING]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=self.dir, env=os.environ | {"CLAUDE_STAND_IN": "hang"}, **pipes) as process:
            process.stdin.write("fix it")
            process.stdin.close()
            said = [json.loads(process.stdout.readline())["type"] for _ in range(2)]
            process.terminate()
            self.assertEqual((said, process.stdout.read()), (["system", "assistant"], ""))


if __name__ == "__main__":
    unittest.main()
