"""The steps of this example without the engine: each is run as a session of the plan would run it.

    python3 -m unittest examples/codegen/test_steps.py
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTRACTS = {name: HERE / "contracts" / f"{name}.json" for name in ("order", "shipment")}
sys.path[:0] = [str(HERE / "steps"), str(HERE / "runtime")]
sys.dont_write_bytecode = True

import checks
import contract
import models
import session


class Ended:
    """How a step ended, and what it left in its result file."""

    def __init__(self, process, result):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr
        self.result = json.loads(result.read_text(encoding="utf-8")) if result.exists() else None


class Sessions(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.build = self.scratch / "build"

    def step(self, script, *arguments, attempt=1, env=None, **inputs):
        context, result = self.scratch / "context.json", self.scratch / "result.json"
        context.write_text(json.dumps({"inputs": {name: str(path) for name, path in inputs.items()}}), encoding="utf-8")
        result.unlink(missing_ok=True)
        session = {
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANTIPHON_ATTEMPT": str(attempt),
            "ANTIPHON_CONTEXT": str(context),
            "ANTIPHON_RESULT": str(result),
            **(env or {}),
        }
        command = [sys.executable, f"steps/{script}.py", *map(str, arguments)]
        process = subprocess.run(command, cwd=HERE, env=os.environ | session, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return Ended(process, result)

    def done(self, *given, **options):
        ended = self.step(*given, **options)
        self.assertEqual((ended.code, ended.err), (0, ""))
        return ended

    def generate(self, name, source=None):
        """Everything up to the tests, which it does not run."""
        folder, source = self.build / name, source or CONTRACTS[name]
        self.done("models", folder, contract=source)
        self.done("check_models", source, folder / "models.py")
        self.done("validators", folder, contract=source, models=folder / "models.py")
        self.done("tests", folder, contract=source, validators=folder / "validators.py")
        return folder

    def files(self):
        return {path.relative_to(self.build): path.read_bytes() for path in self.build.rglob("*") if path.is_file()}


class Codegen(Sessions):
    def test_both_contracts_go_all_the_way_and_again_to_the_same_bytes(self):
        seen = []
        for _ in range(2):
            reports = []
            for name in CONTRACTS:
                folder = self.generate(name)
                ended = self.done("run_tests", folder, tests=folder / "test_contract.py")
                self.assertGreater(ended.result["scores"]["tests"], 100)
                reports.append(folder / "report.json")
            ended = self.done("report", self.build / "report.json", *reports)
            self.assertEqual(ended.result["output"]["contracts"], ["order", "shipment"])
            seen.append(self.files())
        self.assertEqual(seen[0], seen[1])
        expected = [
            f"{name}/{file}"
            for name in CONTRACTS
            for file in ("__init__.py", "checks.py", "models.py", "report.json", "test_contract.py", "validators.py")
        ]
        self.assertEqual(sorted(map(str, seen[0])), sorted([*expected, "report.json"]))

    def test_the_arranged_trouble_ends_with_the_first_attempt(self):
        folder = self.generate("order")
        (folder / "test_contract.py").unlink()
        arranged = {"env": {"FAIL_ON_ATTEMPT": "1"}, "contract": CONTRACTS["order"], "validators": folder / "validators.py"}
        first = self.step("tests", folder, attempt=1, **arranged)
        told = "attempt 1 fails, as FAIL_ON_ATTEMPT asks; the next one will not"
        self.assertEqual((first.code, first.err, first.result), (1, f"tests.py: {told}\n", {"error": told}))
        self.assertFalse((folder / "test_contract.py").exists())
        self.done("tests", folder, attempt=2, **arranged)
        self.assertTrue((folder / "test_contract.py").exists())

    def test_a_generator_that_lies_ends_well_and_its_check_does_not(self):
        folder = self.build / "order"
        lie = self.done("lying_models", folder, contract=CONTRACTS["order"])
        self.assertEqual(lie.out, "Order: 5 models, 2 enumerations\n")
        self.assertEqual(lie.result, {"scores": {"completeness": 1.0}})
        check = self.step("check_models", CONTRACTS["order"], folder / "models.py")
        self.assertEqual((check.code, check.out, check.result), (1, "", None))
        self.assertEqual(check.err.splitlines()[1:3], ["  there is no dataclass Address", "  there is no dataclass Customer"])
        validators = self.step("validators", folder, contract=CONTRACTS["order"], models=folder / "models.py")
        self.assertEqual(validators.code, 1)
        self.assertIn("there is no dataclass Address; generate the models again", validators.err)

    def test_generated_tests_catch_validators_that_let_something_through(self):
        folder = self.generate("order")
        validators = folder / "validators.py"
        validators.write_text(validators.read_text(encoding="utf-8").replace(", maximum=999", ""), encoding="utf-8")
        ended = self.step("run_tests", folder, tests=folder / "test_contract.py")
        name = "order.test_contract.OrderContract.test_a_number_beyond_its_bound_at_lines_0_quantity_is_refused_2"
        self.assertEqual(ended.result, {"error": f"1 of 149 tests failed, the first is {name}; all are in {folder}/report.json"})
        self.assertEqual(json.loads((folder / "report.json").read_text(encoding="utf-8"))["failed"], [name])

    def test_no_tests_are_no_success(self):
        folder = self.generate("order")
        (folder / "test_contract.py").write_text("", encoding="utf-8")
        ended = self.step("run_tests", folder, tests=folder / "test_contract.py")
        self.assertEqual(ended.code, 1)
        self.assertIn("holds no tests, and what was not tested is not right", ended.err)

    def test_an_input_that_the_plan_does_not_give_is_named(self):
        ended = self.step("validators", self.build / "order", contract=CONTRACTS["order"])
        told = "no input is named models; add it to `input:` of this item in the plan"
        self.assertEqual((ended.code, ended.result), (1, {"error": told}))

    def test_text_of_a_contract_stays_text_in_what_is_generated(self):
        source = self.scratch / "quoted.json"
        hostile = 'ends here: """ or \\'
        source.write_text(json.dumps(SMALL | {"description": hostile}), encoding="utf-8")
        folder = self.generate("quoted", source)
        self.done("run_tests", folder, tests=folder / "test_contract.py")


SMALL = {
    "title": "Note",
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "mood": {"enum": ['"glad"', "it's so-so"]}},
}


class Contracts(unittest.TestCase):
    def refusal(self, **changes):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "note.json")
            path.write_text(json.dumps(SMALL | changes), encoding="utf-8")
            with self.assertRaises(session.StepError) as refusal:
                contract.read(path)
            return str(refusal.exception)

    def of_member(self, **schema):
        return self.refusal(required=[], properties={"text": schema})

    def test_what_is_not_supported_is_refused_with_its_place(self):
        at = "note.json#/properties/text"
        self.assertEqual(
            [
                self.refusal(title="a note"),
                self.refusal(additionalProperties=True),
                self.refusal(required=["body"]),
                self.of_member(type="string", contentEncoding="base64"),
                self.of_member(type="string", format="ipv4"),
                self.of_member(type="string", pattern="^a+$"),
                self.of_member(type="integer", minimum=3, maximum=2),
                self.of_member(enum=["a-b", "a_b"]),
                self.of_member(**{"$ref": "other.json"}),
                self.of_member(**{"$ref": "#/$defs/Absent"}),
            ],
            [
                'note.json#: a contract is an object with a `title` that can name a class, such as "Order"',
                'note.json#: an object says `"additionalProperties": false`; open ones are not supported',
                "note.json#/required: `body` is required and stands not in `properties`",
                f"{at}/contentEncoding: `contentEncoding` is not supported here; there are format, maxLength, minLength, pattern, type",
                f"{at}/format: there are the formats date, date-time, email, uuid",
                f"{at}: a text with a `pattern` needs `examples`, and the first one has to match: the tests are made of it",
                f"{at}/minimum: nothing is at least 3 and at most 2",
                f"{at}/enum: its values would be called A_B, A_B; they need different names",
                f'{at}/$ref: "other.json" is not supported; references are "#" and "#/$defs/NAME"',
                f"{at}/$ref: there is no `Absent` in `$defs`",
            ],
        )

    def test_a_definition_that_is_only_itself_has_no_end(self):
        told = self.refusal(properties={"text": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"$ref": "#/$defs/A"}}})
        self.assertEqual(told, "note.json#/$defs/A/$ref: `A` is defined by itself")

    def test_models_keep_types_formats_and_awkward_names(self):
        text = models.text(contract.read(CONTRACTS["shipment"]))
        for line in (
            "    class_: ShipmentClass",
            "    order_ids: tuple[UUID, ...]",
            "    due: date | None = None",
            "    tracking_number: str",
            "    contains: tuple[Parcel, ...] | None = None",
            "    NEXT_DAY = 'next-day'",
        ):
            self.assertIn(f"\n{line}\n", text)


class Checks(unittest.TestCase):
    def problems(self, check, value):
        found = []
        check.read(value, "", found)
        return [text for _, text in found]

    def test_a_truth_value_is_no_number_and_a_whole_float_is_whole(self):
        self.assertEqual(self.problems(checks.Number(), True), ["here should be a number, not a truth value"])
        self.assertEqual(self.problems(checks.Number(whole=True), 2.0), [])
        self.assertEqual(self.problems(checks.Number(whole=True), 2.5), ["2.5 is not a whole number"])

    def test_a_moment_has_an_offset_and_a_date_is_a_day(self):
        wanted = "is not a moment such as 2026-03-01T09:30:00Z"
        self.assertEqual(self.problems(checks.Formatted("date-time"), "2026-03-01T09:30:00"), [f"'2026-03-01T09:30:00' {wanted}"])
        self.assertEqual(self.problems(checks.Formatted("date-time"), "2026-03-01T09:30:00+02:00"), [])
        self.assertEqual(self.problems(checks.Formatted("date"), "2026-02-30"), ["'2026-02-30' is not a date such as 2026-03-01"])

    def test_every_problem_of_a_document_is_told(self):
        line = checks.Record(dict, {"sku": checks.Member("sku", checks.Text(min_length=2), required=True)})
        with self.assertRaises(checks.Invalid) as refusal:
            checks.read(checks.Sequence(line), [{"sku": "a"}, {}, 7, {"sku": "ab", "price": 1}])
        self.assertEqual(
            refusal.exception.problems,
            [
                ("/0/sku", "the text has 1 characters, fewer than 2"),
                ("/1/sku", "this member is required"),
                ("/2", "here should be an object, not a number"),
                ("/3/price", "the contract has no such member"),
            ],
        )


if __name__ == "__main__":
    unittest.main()
