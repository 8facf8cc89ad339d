import { platformName } from "../platform.ts";
import type { ImagePlan } from "../plan/image-plan.ts";
import type { Sourced } from "../project/project.ts";
import { deviceRows } from "./device-text.ts";
import { noteLines } from "./note-lines.ts";
import { alignColumns, formatBytes, plural, printable, shorten, type Style, visibleLength, wrap } from "./text.ts";

/** A plan with its figures, as `sheaf plan` shows it. */
export interface PlanView {
  plan: ImagePlan;
  size: { compressed: number; unpacked: number };
}

/** Every value with where it came from, an image at a time. */
export function planText(
  project: { name: string; version?: string },
  images: PlanView[],
  { style, width }: { style: Style; width: number },
): string {
  const platforms = [...new Set(images.map(({ plan }) => platformName(plan.platform)))].join(", ");
  const title = [
    `${style.bold(project.name)}${project.version ? ` ${project.version}` : ""}`,
    platforms,
    plural(images.length, "image"),
  ];
  return [
    title.join(" · "),
    "",
    ...images.flatMap((view) => [...imageLines(view, style, width), ""]),
    ...wrap("Every value can be set in [tool.sheaf]: sheaf init writes it out.", width).map(style.dim),
  ].join("\n");
}

function imageLines({ plan, size }: PlanView, style: Style, width: number): string[] {
  const { config } = plan;
  const rows: Row[] = [
    ...(plan.python ? [["python", plan.python.version, plan.python.reason] satisfies Row] : []),
    [
      "base",
      baseText(plan),
      plan.base.kind === "debian" ? `${plan.base.source}, signed ${plan.base.signedAt.slice(0, 10)}` : plan.base.source,
    ],
    ...(plan.python ? [distributionsRow(plan)] : []),
    ...plan.distributions
      .filter((each) => each.built)
      .map((each): Row => ["built here", `${each.name} ${each.version}`, "has no wheel for this platform"]),
    ...plan.packages
      .filter((each) => !/^(base$|dependency)/.test(each.reason) && !each.reason.includes("python3."))
      .map((each): Row => ["native", each.name, each.reason]),
    ...(plan.python
      ? [
          [
            "files",
            `${plan.files.filter(({ text }) => text === undefined).length} in ${config.workdir.value}`,
            filesText(plan),
          ] satisfies Row,
        ]
      : plan.files.map((file): Row => ["file", `/${file.path}`, "written by Sheaf"])),
    ...deviceRows(plan),
    ["user", `${plan.user.value.uid} ${plan.user.value.name}`, plan.user.source],
    ["workdir", config.workdir.value, config.workdir.source],
    ...config.ports.map((port): Row => ["port", String(port.value), port.source]),
    ["health", config.health ? healthText(config.health) : "none", config.health?.source ?? "config"],
    ...Object.entries(config.env)
      .filter(([, { source }]) => source !== "default")
      .map(([name, { value, source }]): Row => ["env", `${name}=${value}`, source]),
    ...(plan.python ? [bytecodeRow(plan)] : []),
    [
      "size",
      `${formatBytes(size.unpacked)} unpacked, ${formatBytes(size.compressed)} compressed`,
      plan.budget ? `budget ${formatBytes(plan.budget.value)}` : "",
    ],
  ];
  const indent = " ".repeat(10);
  const [command = "", ...more] = wrap(printable(config.command.value.join(" ")), width - indent.length);
  const head = [`${style.bold(plan.name.padEnd(9))} ${command}`, ...more.map((line) => `${indent}${line}`)];
  const limit = Math.max(24, Math.floor((width - 16) / 2));
  const cells = rows.map(([label, value, source]) => ({
    start: [`  ${style.dim(label)}`, shorten(printable(value), limit)],
    source: printable(source),
  }));
  const starts = alignColumns(cells.map(({ start }) => start));
  const column = Math.max(...starts.map(visibleLength)) + 2;
  const body = cells.flatMap(({ source }, index) =>
    withSource(starts[index] ?? "", { source, column, width, dim: style.dim }),
  );
  const sourceLines = wrap(printable(config.command.source), width - indent.length);
  return [
    ...head,
    ...sourceLines.map((line) => `${indent}${style.dim(line)}`),
    ...body,
    ...noteLines(plan.notes, style, width),
  ];
}

/** The source stands beside its value, or below it where the terminal is too narrow. */
function withSource(
  start: string,
  { source, column, width, dim }: { source: string; column: number; width: number; dim: Style["dim"] },
): string[] {
  if (source === "") return [start];
  if (column + source.length <= width) return [`${start}${" ".repeat(column - visibleLength(start))}${dim(source)}`];
  return [start, ...wrap(source, width - 14).map((line) => `${" ".repeat(14)}${dim(line)}`)];
}

type Row = [label: string, value: string, source: string];

function distributionsRow({ distributions, resolution }: ImagePlan): Row {
  const how = resolution.locked ? "hashes checked" : "not locked: sheaf lock";
  return ["packages", String(distributions.length), `${resolution.source}, ${how}`];
}

function bytecodeRow({ options: { bytecode } }: ImagePlan): Row {
  return bytecode.compiled
    ? ["bytecode", "modules that the start reaches", bytecode.by]
    : ["bytecode", "left out", bytecode.reason];
}

function baseText(plan: ImagePlan): string {
  if (plan.base.kind === "image") return `${plan.base.reference} ${plan.base.digest.slice(0, 19)}`;
  const bytes = plan.packages.reduce((sum, each) => sum + each.installedSize, 0);
  return `Debian ${plan.base.version}, ${plural(plan.packages.length, "package")}, ${formatBytes(bytes)}`;
}

function filesText(plan: ImagePlan): string {
  const secrets = plan.withheld.filter((each) => each.reason === "secret");
  const folders = [
    ...new Set(plan.files.flatMap((file) => (file.from?.includes("/") ? [`${file.from.split("/")[0]}/`] : []))),
  ];
  const kept =
    secrets.length > 0
      ? `${plural(secrets.length, "secret")} kept out: ${secrets
          .slice(0, 3)
          .map((each) => each.path)
          .join(", ")}`
      : "";
  return [folders.slice(0, 5).join(" "), kept].filter(Boolean).join(" · ");
}

function healthText(health: Sourced<{ url?: string; test: string[]; interval: number }>): string {
  const { url, test, interval } = health.value;
  return `${url ? `${test[0]} ${new URL(url).pathname}` : (test[0] ?? "")} every ${interval}s`;
}
