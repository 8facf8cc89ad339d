import type { GpuOperation, GpuReport } from "../inspect/gpu-report.ts";
import { alignColumns, formatBytes, plural, printable, shorten, type Style } from "./text.ts";

const types = ["fp32", "fp16", "bf16", "int"] as const;
const marks: Record<GpuOperation["verdict"], string> = { pass: "✓", fail: "✗", skipped: "–", "left out": "○" };

/** What was computed, a row an operation; then what failed and why, and the libraries that took part. */
export function gpuReportText(report: GpuReport, style: Style, width: number): string {
  const told = report.operations.filter(({ verdict }) => verdict !== "pass");
  const parts = [
    machineLines(report, style),
    operationRows(report.operations, style),
    told.map((operation) => toldLine(operation, { style, width })),
    report.libraries.length > 0 ? [libraryLine(report)] : [],
    [sentence(report, style)],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function machineLines({ driver, gpus, torch, operations }: GpuReport, style: Style): string[] {
  const facts: [label: string, value: string][] = [];
  if (driver)
    facts.push([
      "driver",
      `${driver.version || "?"}, CUDA ${driver.cuda}${driver.problem ? `, answers ${driver.problem}` : ""}`,
    ]);
  else if (operations.length > 0) facts.push(["driver", "none: libcuda.so.1 is not in the container"]);
  for (const { name, capability } of gpus) facts.push(["GPU", `${name}, compute capability ${capability}`]);
  if (torch) facts.push(["torch", `${torch.version}, CUDA ${torch.cuda ?? "none"}`]);
  return alignColumns(facts.map(([label, value]) => [style.dim(label), printable(value)]));
}

function operationRows(operations: readonly GpuOperation[], style: Style): string[] {
  if (operations.length === 0) return [];
  const used = types.filter((type) => operations.some((each) => each.type === type));
  const names = [...new Set(operations.map(({ name }) => name))];
  const cell = (name: string, type: string): string => {
    const found = operations.find((each) => each.name === name && each.type === type);
    if (!found) return "";
    const mark = marks[found.verdict] ?? "?";
    return found.verdict === "fail" ? style.red(mark) : found.verdict === "pass" ? style.green(mark) : style.dim(mark);
  };
  return alignColumns([
    ["operation", ...used].map((text) => style.dim(text)),
    ...names.map((name) => [printable(name), ...used.map((type) => cell(name, type))]),
  ]);
}

function toldLine(operation: GpuOperation, { style, width }: { style: Style; width: number }): string {
  const { name, type, verdict, note, difference, tolerance } = operation;
  const why =
    note ??
    (difference == null
      ? "its result is another"
      : `differs by ${difference.toExponential(1)}, of ${tolerance} allowed`);
  const label = `${marks[verdict] ?? "?"} ${verdict}`;
  const line = `${verdict === "fail" ? style.red(label) : style.dim(label)}  ${printable(name)} ${type}: `;
  return line + shorten(printable(why), Math.max(40, width - 30));
}

function libraryLine({ libraries }: GpuReport): string {
  const bytes = libraries.reduce((sum, each) => sum + each.bytes, 0);
  const stubs = libraries.filter(({ stub }) => stub).map(({ path }) => printable(path.split("/").at(-1) ?? ""));
  const left = stubs.length > 0 ? `; left out: ${stubs.join(", ")}` : "";
  return `${plural(libraries.length, "library", "libraries")} of CUDA and torch loaded, ${formatBytes(bytes)} of files${left}`;
}

function sentence({ verdict, device, reason, operations }: GpuReport, style: Style): string {
  const count = (wanted: GpuOperation["verdict"]) => operations.filter((each) => each.verdict === wanted).length;
  const rest = [
    ...(count("left out") > 0 ? [`${count("left out")} left out by the image's profile`] : []),
    ...(count("skipped") > 0 ? [`${count("skipped")} skipped`] : []),
  ].join(", ");
  const also = rest === "" ? "" : `; ${rest}`;
  if (verdict === "pass")
    return style.green(`the GPU agrees with the CPU: all ${plural(count("pass"), "operation")}${also}`);
  if (verdict === "fail" && operations.length === 0) return style.red(printable(reason ?? "it failed"));
  if (verdict === "fail")
    return style.red(`${plural(count("fail"), "operation")} failed, ${count("pass")} passed${also}`);
  const why = printable(reason ?? "there is no GPU");
  if (device === "cpu")
    return `not run on a GPU: ${why}. On the CPU ${plural(count("pass"), "operation")} passed${also}`;
  return `not run: ${why}`;
}
