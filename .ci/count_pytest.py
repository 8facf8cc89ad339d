"""Prints `PASSED FAILED` of pytest's JUnit report."""

import sys
import xml.etree.ElementTree as xml

suites = list(xml.parse(sys.argv[1]).getroot().iter("testsuite"))
tests, failures, errors, skipped = (
    sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
)
print(tests - failures - errors - skipped, failures + errors)
