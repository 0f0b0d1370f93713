"""results.py [--strict] [--filtered] DIR PROJECT...: sums what the test runners wrote (DIR/PROJECT.xml, xUnit v2 XML; DIR/PROJECT.exit).

Prints every failed test with the beginning of its message, every skipped test's reason, and last the one line
"N passed, N failed, N skipped". A runner that ended without a result file, or badly with nothing failed in it, is a
failure by its own name, and so is a project none of whose tests passed, unless --filtered says that some were left out:
a crash must not look like a small test run. With --strict a skip that a tool or a client would have made a test is a
failure too. Exit code 0 only when tests passed and none failed.
"""
import os
import re
import sys
import xml.etree.ElementTree as xml

BY_HAND = "run by hand (-explicit only)"

# Skipped under --strict too: what no installation mends, and nginx, which the run does not install.
ALLOWED = re.compile("|".join((
    r"RGW ",  # what the gateway itself does otherwise (RgwLimits)
    r"nginx is not installed",
    # Other systems and processors.
    r"the transport is 64-bit Linux's",
    r"large pages are Linux's",
    r"glibc's heap is meant",
    r"slices are Linux's from ",
    r"the fault is Linux's /proc",
    r"sees the open file in /proc",
    r"counts open files in /proc",
    # Other kernels, sandboxes and libraries.
    r"this kernel has no BBR",
    r"this system has no large pages",
    r"no mounts of its own here",
    r"no unshare here",
    r"strace may not look at other processes here",
    r"no libcrypto\.so\.3 that offers",
)))


def first_line(text):
    return (text or "").strip().split("\n")[0][:300]


def beginning(text):
    """Enough to see what happened where only this output is kept."""
    return "\n        ".join((text or "").strip()[:4000].split("\n")[:40])


def exit_code_of(directory, project):
    """None when it was not written: the run was cut off, or its disk is full."""
    try:
        with open(os.path.join(directory, project + ".exit")) as exit_file:
            return int(exit_file.read())
    except (OSError, ValueError):
        return None


def read(directory, project, strict, filtered):
    """Prints what was not passed; returns how many passed, failed and were skipped."""
    passed = failed = skipped = 0
    exit_code = exit_code_of(directory, project)
    if exit_code is None:
        failed += 1
        print(f"FAILED  {project}: no exit code of its runner")
    elif exit_code in (124, 137):
        failed += 1
        print(f"FAILED  {project}: stopped at its time limit (log: {project}.log)")
    try:
        tree = xml.parse(os.path.join(directory, project + ".xml")).getroot()
    except (OSError, xml.ParseError) as error:
        if failed == 0:
            failed += 1
            print(f"FAILED  {project}: no result file, exit code {exit_code} ({error})")
        return passed, failed, skipped
    for test in tree.iter("test"):
        name, result = test.get("name"), test.get("result")
        if result == "Pass":
            passed += 1
        elif result == "Fail":
            failed += 1
            print(f"FAILED  {name}: {beginning(test.findtext('failure/message'))}")
        elif result == "NotRun":
            skipped += 1
            print(f"SKIPPED {name}: {BY_HAND}")
        else:
            reason = first_line(test.findtext("reason")) or "without a reason"
            if strict and not ALLOWED.match(reason):
                failed += 1
                print(f"FAILED  {name}: skipped, and nothing may be skipped here: {reason}")
            else:
                skipped += 1
                print(f"SKIPPED {name}: {reason}")
    for error in tree.iter("error"):
        failed += 1
        print(f"FAILED  {error.get('type')} {error.get('name') or project}: {beginning(error.findtext('failure/message'))}")
    if failed == 0 and exit_code != 0:
        failed += 1
        print(f"FAILED  {project}: its runner ended with exit code {exit_code}")
    if failed == 0 and passed == 0 and not filtered:
        failed += 1
        print(f"FAILED  {project}: no test of it passed")
    return passed, failed, skipped


def main(arguments):
    options = {argument for argument in arguments if argument.startswith("--")}
    directory, *projects = [argument for argument in arguments if argument not in options]
    counts = [read(directory, project, "--strict" in options, "--filtered" in options) for project in projects]
    passed, failed, skipped = (sum(column) for column in zip(*counts))
    if passed + failed + skipped == 0:
        print("no test ran")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
