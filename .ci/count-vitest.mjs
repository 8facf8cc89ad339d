// Prints `PASSED FAILED` of a vitest JSON report. A file that failed before it had a test counts as one failed test.
import { readFileSync } from "node:fs";

const report = JSON.parse(readFileSync(process.argv[2], "utf8"));
const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
console.log(report.numPassedTests, report.numFailedTests + broken.length);
