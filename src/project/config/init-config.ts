import { bestApps } from "../find-apps.ts";
import type { AppObject, Project } from "../project.ts";

/** The commented `[tool.sheaf]` that `sheaf init` writes: what was detected, each value with its origin. */
export function initConfig(project: Project): string {
  const lines = ["[tool.sheaf]"];
  const { pythonVersion, requiresPython } = project;
  if (pythonVersion) lines.push(`python = ${quoted(minor(pythonVersion.value))}  # ${pythonVersion.source}`);
  else
    lines.push(
      `# python = "3.12"  # ${requiresPython ? `requires-python is ${requiresPython.value}` : "Sheaf's default unless set"}`,
    );
  lines.push(`# app-env = "production"`, `# packages = []  # Debian packages beside those found to be needed`);
  for (const [name, table] of imagesOf(project)) lines.push("", `[tool.sheaf.images.${name}]`, ...table);
  return `${lines.join("\n")}\n`;
}

function imagesOf(project: Project): [name: string, lines: string[]][] {
  const images: [string, string[]][] = [];
  const [api] = bestApps(project.apps, "fastapi");
  const [celery] = bestApps(project.apps, "celery");
  if (api) images.push(["api", apiImage(project, api)]);
  if (celery) {
    images.push(["worker", celeryImage(project, celery, "worker")]);
    if (project.services.some((service) => service.role === "beat"))
      images.push(["beat", celeryImage(project, celery, "beat")]);
  }
  return images;
}

function apiImage(project: Project, app: AppObject): string[] {
  const service = project.services.find(({ role, command }) => role === "api" && command);
  const port = project.services.find(({ role }) => role === "api")?.ports[0];
  const lines = [
    `# ${app.file}:${app.line}`,
    `app = ${quoted(`${app.module}:${app.attribute}${app.factory ? "()" : ""}`)}`,
  ];
  if (service?.command) lines.push(`# command = ${array(service.command.value)}  # ${service.command.source}`);
  lines.push(port ? `port = ${port.value}  # ${port.source}` : `# port = 8000`);
  lines.push(`# health = "http://localhost:${port?.value ?? 8000}/health"`, `# budget = "300MB"`);
  return [...lines, ...extrasOf(project)];
}

function celeryImage(project: Project, app: AppObject, role: "worker" | "beat"): string[] {
  const service = project.services.find((one) => one.role === role && one.command);
  const command = service?.command?.value ?? ["celery", "-A", app.module, role];
  return [
    `# ${app.file}:${app.line}`,
    `role = ${quoted(role)}`,
    `command = ${array(command)}${service?.command ? `  # ${service.command.source}` : ""}`,
    ...extrasOf(project),
  ];
}

function extrasOf(project: Project): string[] {
  return project.extras.length === 0 ? [] : [`# extras = ${array(project.extras)}`];
}

function minor(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function array(words: readonly string[]): string {
  return `[${words.map(quoted).join(", ")}]`;
}
