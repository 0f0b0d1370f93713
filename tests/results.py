"""results.py DIR PROJECT...: sums what the test runners wrote (DIR/PROJECT.xml, xUnit v2 XML; DIR/PROJECT.exit).

Prints every failed test with the beginning of its message, every skipped test's reason, and last the one line
"N passed, N failed, N skipped". A runner that ended without a result file, or badly with nothing failed in it, is a
failure by its own name: a crash must not look like a small test run. Exit code 0 only when tests passed and none failed.
"""
import os
import sys
import xml.etree.ElementTree as xml


def first_line(text):
    return (text or "").strip().split("\n")[0][:300]


def beginning(text):
    """Enough to see what happened where only this output is kept."""
    return "\n        ".join((text or "").strip()[:4000].split("\n")[:40])


def main(directory, projects):
    passed = failed = skipped = 0
    for project in projects:
        path = os.path.join(directory, project + ".xml")
        with open(os.path.join(directory, project + ".exit")) as exit_file:
            exit_code = int(exit_file.read())
        if exit_code in (124, 137):
            failed += 1
            print(f"FAILED  {project}: stopped at its time limit (log: {project}.log)")
        try:
            tree = xml.parse(path).getroot()
        except (OSError, xml.ParseError) as error:
            if exit_code not in (124, 137):
                failed += 1
                print(f"FAILED  {project}: no result file, exit code {exit_code} ({error})")
            continue
        failed_here = 0
        for test in tree.iter("test"):
            name, result = test.get("name"), test.get("result")
            if result == "Pass":
                passed += 1
            elif result == "Fail":
                failed_here += 1
                print(f"FAILED  {name}: {beginning(test.findtext('failure/message'))}")
            else:
                skipped += 1
                print(f"SKIPPED {name}: {first_line(test.findtext('reason')) or 'run by hand (-explicit only)'}")
        for error in tree.iter("error"):
            failed_here += 1
            print(f"FAILED  {error.get('type')} {error.get('name') or project}: {beginning(error.findtext('failure/message'))}")
        if exit_code not in (0, 124, 137) and failed_here == 0:
            failed_here = 1
            print(f"FAILED  {project}: its runner ended with exit code {exit_code}")
        failed += failed_here
    if passed + failed + skipped == 0:
        print("no test ran")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
