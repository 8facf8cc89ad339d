import type { ServiceEvidence } from "../project.ts";
import { readShellCommand, type CommandContext } from "./command.ts";

/** Reads a Procfile: `web: uvicorn app.main:app`. The release process prepares and is left out. */
export function readProcfile(
  text: string,
  file: string,
  context: Omit<CommandContext, "source"> = {},
): ServiceEvidence[] {
  const services: ServiceEvidence[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [, name = "", command = ""] = /^([A-Za-z0-9_-]+):\s*(.+?)\s*$/.exec(line) ?? [];
    if (name === "" || name === "release") continue;
    const source = `${file}:${index + 1}`;
    const read = readShellCommand(command, { ...context, source });
    const service: ServiceEvidence = { name, role: read.role, command: read.command, env: {}, ports: [] };
    if (read.queues.length > 0) service.queues = read.queues;
    if (read.notes.length > 0) service.notes = read.notes;
    services.push(service);
  }
  return services;
}
