// Prints `PASSED FAILED` of a vitest JSON report, and writes the names of skipped tests to a file.
// A file that failed before it had a test counts as one failed test.
//
//   node count-vitest.mjs REPORT SKIPPED
import { readFileSync, writeFileSync } from "node:fs";

const [reportFile, skippedFile] = process.argv.slice(2);
const report = JSON.parse(readFileSync(reportFile, "utf8"));
const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
const skipped = report.testResults
  .flatMap((file) => file.assertionResults)
  .filter((test) => test.status !== "passed" && test.status !== "failed")
  .map((test) => `   skipped: ${test.fullName}\n`);
writeFileSync(skippedFile, skipped.join(""));
console.log(report.numPassedTests, report.numFailedTests + broken.length);
