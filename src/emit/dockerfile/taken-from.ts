import type { ImagePlan } from "../../plan/image-plan.ts";

/**
 * What a plan takes from one file of the repository, as the lines of `[tool.sheaf.images.NAME]` that would say the same: a
 * Dockerfile that is written over says it no longer.
 */
export function takenFrom(plan: ImagePlan, file: string): string[] {
  const isFrom = (source: string): boolean => source.startsWith(`${file}:`);
  const { command, env, workdir, ports, health } = plan.config;
  const packages = plan.packages.filter(({ reason }) => isFrom(reason)).map(({ name }) => name);
  const variables = Object.entries(env).filter(([, { source }]) => isFrom(source));
  const pairs = variables.map(([name, { value }]) => `${name} = ${JSON.stringify(value)}`);
  const port = ports.find(({ source }) => isFrom(source));
  return [
    ...(isFrom(command.source) ? [`command = ${words(command.value)}`] : []),
    ...(packages.length > 0 ? [`packages = ${words(packages)}`] : []),
    ...(pairs.length > 0 ? [`env = { ${pairs.join(", ")} }`] : []),
    ...(isFrom(workdir.source) ? [`workdir = ${JSON.stringify(workdir.value)}`] : []),
    ...(port ? [`port = ${port.value}`] : []),
    ...(health && isFrom(health.source) && health.value.url !== undefined
      ? [`health = ${JSON.stringify(health.value.url)}`]
      : []),
  ];
}

function words(list: readonly string[]): string {
  return `[${list.map((word) => JSON.stringify(word)).join(", ")}]`;
}
