"""What results.py makes of runs that went well, badly, or not at all: python3 tests/results_test.py."""
import os
import subprocess
import sys
import tempfile
import unittest

PASSED = '<test name="a" result="Pass"/>'
FAILED = '<test name="b" result="Fail"><failure><message>wrong</message></failure></test>'
BY_HAND = '<test name="c" result="NotRun"/>'


def skipped(reason):
    return f'<test name="d" result="Skip"><reason>{reason}</reason></test>'


class Results(unittest.TestCase):
    def run_on(self, *options, **projects):
        """Each project is what its result file has and what its exit file says; None is a file that is not there."""
        with tempfile.TemporaryDirectory() as directory:
            for project, (tests, exit_code) in projects.items():
                if tests is not None:
                    with open(os.path.join(directory, project + ".xml"), "w") as result:
                        result.write(f"<assemblies><assembly><collection>{tests}</collection></assembly></assemblies>")
                if exit_code is not None:
                    with open(os.path.join(directory, project + ".exit"), "w") as result:
                        result.write(exit_code)
            results = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results.py")
            run = subprocess.run([sys.executable, results, *options, directory, *projects], capture_output=True, text=True)
        self.assertEqual("", run.stderr)
        return run.returncode, run.stdout.splitlines()

    def expect(self, code, said, *options, **projects):
        self.assertEqual((code, said), self.run_on(*options, **projects))

    def test_sums(self):
        self.expect(
            1, ["SKIPPED c: run by hand (-explicit only)", "FAILED  b: wrong", "2 passed, 1 failed, 1 skipped"],
            One=(PASSED + BY_HAND, "0\n"), Two=(FAILED + PASSED, "1\n"))
        self.expect(0, ["1 passed, 0 failed, 0 skipped"], One=(PASSED, "0\n"))

    def test_runner_that_ended_badly(self):
        self.expect(1, ["FAILED  One: its runner ended with exit code 134", "1 passed, 1 failed, 0 skipped"], One=(PASSED, "134\n"))
        self.expect(1, ["FAILED  One: stopped at its time limit (log: One.log)", "0 passed, 1 failed, 0 skipped"], One=(None, "124\n"))
        code, said = self.run_on(One=(None, "134\n"), Two=(PASSED, "0\n"))
        self.assertEqual((1, "1 passed, 1 failed, 0 skipped"), (code, said[-1]))

    def test_exit_file_missing_or_empty(self):
        for exit_code in (None, "", "\n"):
            self.expect(1, ["FAILED  One: no exit code of its runner", "1 passed, 1 failed, 0 skipped"], One=(PASSED, exit_code))
            self.expect(1, ["FAILED  One: no exit code of its runner", "0 passed, 1 failed, 0 skipped"], One=(None, exit_code))

    def test_project_of_which_nothing_passed(self):
        for nothing in ("", BY_HAND, skipped("prometheus is not installed")):
            code, said = self.run_on(One=(PASSED, "0\n"), Two=(nothing, "0\n"))
            self.assertEqual((1, "FAILED  Two: no test of it passed"), (code, said[-2]))
            code, said = self.run_on("--filtered", One=(PASSED, "0\n"), Two=(nothing, "0\n"))
            self.assertEqual(0, code)
        self.expect(1, ["no test ran", "0 passed, 0 failed, 0 skipped"], "--filtered", One=("", "0\n"))

    def test_skips(self):
        for reason in ("prometheus is not installed: apt-get install prometheus", "/usr/bin/chromium is not there", ""):
            told = reason or "without a reason"
            self.expect(
                1, [f"FAILED  d: skipped, and nothing may be skipped here: {told}", "1 passed, 1 failed, 0 skipped"], "--strict", One=(PASSED + skipped(reason), "0\n"))
            self.expect(0, [f"SKIPPED d: {told}", "1 passed, 0 failed, 1 skipped"], One=(PASSED + skipped(reason), "0\n"))
        for reason in ("RGW 16.2 ignores partNumber", "this kernel has no BBR", "strace may not look at other processes here: strace: attach: ptrace"):
            self.expect(0, [f"SKIPPED d: {reason}", "1 passed, 0 failed, 1 skipped"], "--strict", One=(PASSED + skipped(reason), "0\n"))
        self.expect(0, ["SKIPPED c: run by hand (-explicit only)", "1 passed, 0 failed, 1 skipped"], "--strict", One=(PASSED + BY_HAND, "0\n"))


if __name__ == "__main__":
    unittest.main()
