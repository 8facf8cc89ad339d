import { SheafError } from "../../errors.ts";
import { remembered, type ParseRecords } from "../parse-records.ts";
import { isTable, lineOfKey, parseToml, tableAt, type TomlTable } from "../toml.ts";
import { didYouMean } from "../../did-you-mean.ts";
import type { SheafConfig } from "./schema.ts";
import type { ConfigProblem } from "./config-problem.ts";
import { valueProblems } from "./value-problems.ts";

export interface ReadConfig {
  config: SheafConfig;
  /** File that it came from, from the project's root; undefined when there is no configuration. */
  file?: string;
}

/**
 * Reads the configuration out of `[tool.sheaf]` in pyproject.toml or out of sheaf.toml.
 *
 * @param folders folders, from the root, in which the files may stand; the first is the root
 * @param read text of a file by its path from the root
 * @param records remembers valid configurations, so that the validator is loaded only when one changes
 * @throws SheafError SHEAF_CONFIG with all problems at once, SHEAF_CONFIG_TWICE when both files configure, SHEAF_TOML
 */
export async function readConfig(
  folders: readonly string[],
  read: (path: string) => string | undefined,
  records?: ParseRecords,
): Promise<ReadConfig> {
  const found: { file: string; prefix: string[]; text: string; value: unknown }[] = [];
  for (const folder of new Set(folders)) {
    const inFolder = (name: string): string => (folder === "" ? name : `${folder}/${name}`);
    const pyproject = read(inFolder("pyproject.toml"));
    // Parsing is spared where the table can't be.
    if (pyproject !== undefined && /sheaf/.test(pyproject)) {
      const tool = tableAt(await parseToml(pyproject, inFolder("pyproject.toml")), "tool");
      if (Object.hasOwn(tool, "sheaf")) {
        found.push({
          file: inFolder("pyproject.toml"),
          prefix: ["tool", "sheaf"],
          text: pyproject,
          value: tool["sheaf"],
        });
      }
    }
    const own = read(inFolder("sheaf.toml"));
    if (own !== undefined) {
      found.push({
        file: inFolder("sheaf.toml"),
        prefix: [],
        text: own,
        value: await parseToml(own, inFolder("sheaf.toml")),
      });
    }
  }
  const [only, other] = found;
  if (!only) return { config: {} };
  if (other) throw configuredTwice(only.file, other.file);
  const config = await remembered(records, { kind: "config", text: JSON.stringify(only.value) }, async () => {
    const problems: ConfigProblem[] = [];
    const valid = await validated(only.value, problems);
    if (problems.length > 0) throw configError(problems, only);
    return valid;
  });
  return { config: config ?? {}, file: only.file };
}

/**
 * Reads one file as configuration: `[tool.sheaf]` of it where there is such a table, else the whole file.
 * @throws SheafError SHEAF_CONFIG with all problems at once, SHEAF_TOML
 */
export async function readConfigFile(file: string, text: string): Promise<SheafConfig> {
  const table = await parseToml(text, file);
  const tool = tableAt(table, "tool");
  const inTool = Object.hasOwn(tool, "sheaf");
  const problems: ConfigProblem[] = [];
  const config = await validated(inTool ? tool["sheaf"] : table, problems);
  if (problems.length > 0) throw configError(problems, { file, prefix: inTool ? ["tool", "sheaf"] : [], text });
  return config;
}

/** The JSON Schema of the contract's keys, for `sheaf contract --schema`. */
export async function contractJsonSchema(): Promise<Record<string, unknown>> {
  const [{ z }, { ContractSettings }] = await Promise.all([import("zod"), import("./schema.ts")]);
  return {
    title: "What sheaf verify holds an image to: [tool.sheaf.contract], [tool.sheaf.images.NAME.contract]",
    ...z.toJSONSchema(ContractSettings),
  };
}

/** The JSON Schema of `[tool.sheaf]`, published as schemas/sheaf.schema.json. */
export async function configJsonSchema(): Promise<Record<string, unknown>> {
  const [{ z }, { SheafConfig }] = await Promise.all([import("zod"), import("./schema.ts")]);
  return {
    title: "Sheaf's configuration: [tool.sheaf] in pyproject.toml, or sheaf.toml",
    ...z.toJSONSchema(SheafConfig),
  };
}

async function validated(value: unknown, problems: ConfigProblem[]): Promise<SheafConfig> {
  const { SheafConfig } = await import("./schema.ts");
  const result = SheafConfig.safeParse(value);
  if (!result.success) {
    const schema = await configJsonSchema();
    for (const issue of result.error.issues) problems.push(...issueProblems(issue as Issue, { value, schema }));
  }
  if (isTable(value)) problems.push(...valueProblems(value), ...(await problemsOfGpus(value)));
  return result.success ? result.data : {};
}

/** Tables of GPUs and of CUDA's parts are read only for who names some. */
async function problemsOfGpus(config: TomlTable): Promise<ConfigProblem[]> {
  const images = Object.values(tableAt(config, "images")).filter(isTable);
  const contracts = [config, ...images].map((each) => each["contract"]);
  const namesSome =
    images.some(({ gpu }) => isTable(gpu)) || contracts.some((each) => isTable(each) && "gpu-targets" in each);
  if (!namesSome) return [];
  const { gpuProblems } = await import("./gpu-problems.ts");
  return gpuProblems(config);
}

/** What is used of zod's issues. */
interface Issue {
  code: string;
  path: PropertyKey[];
  message: string;
  keys?: string[];
  expected?: string;
  values?: unknown[];
  errors?: Issue[][];
  minimum?: number | bigint;
  maximum?: number | bigint;
}

interface Context {
  value: unknown;
  schema: Record<string, unknown>;
}

function issueProblems(issue: Issue, context: Context): ConfigProblem[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    return (issue.keys ?? []).map((key) => ({ path: [...path, key], message: unknownKey(key, path, context.schema) }));
  }
  const actual = valueAt(context.value, issue.path);
  return [{ path, message: typeMessage(issue, actual) }];
}

function typeMessage(issue: Issue, actual: unknown): string {
  const shown = JSON.stringify(actual) ?? "nothing";
  if (issue.code === "invalid_value") {
    const values = (issue.values ?? []).map(String);
    const near = typeof actual === "string" ? didYouMean(actual, values) : undefined;
    return `${shown} is none of ${values.join(", ")}${near === undefined ? "" : `, did you mean ${near}?`}`;
  }
  if (issue.code === "invalid_union") {
    const expected = (issue.errors ?? []).flat().map((one) => one.expected ?? one.values?.map(String).join(", ") ?? "");
    return `expected ${expected.filter((one) => one !== "").join(" or ")}, found ${shown}`;
  }
  if (issue.code === "too_small")
    return Array.isArray(actual) ? "must not be empty" : `${shown} is below ${issue.minimum}`;
  if (issue.code === "too_big") return `${shown} is above ${issue.maximum}`;
  const expected = issue.expected === undefined ? undefined : (kinds[issue.expected] ?? issue.expected);
  return expected === undefined ? issue.message : `expected ${expected}, found ${shown}`;
}

const kinds: Record<string, string | undefined> = {
  string: "a string",
  array: "a list",
  object: "a table",
  record: "a table",
  boolean: "true or false",
  int: "a whole number",
  number: "a number",
};

function unknownKey(key: string, path: string[], schema: Record<string, unknown>): string {
  const near = didYouMean(key, keysAt(schema, path));
  if (near !== undefined) return `unknown key, did you mean ${near}?`;
  if (path.length === 0 && keysAt(schema, ["images", "api"]).includes(key))
    return `unknown key here, it belongs to an image: images.api.${key}`;
  if (path.length === 2 && keysAt(schema, []).includes(key))
    return `unknown key here, it is set for all images: ${key}`;
  return `unknown key, known are ${keysAt(schema, path).join(", ")}`;
}

/** Names of the keys that the schema has at a path. */
function keysAt(schema: Record<string, unknown>, path: string[]): string[] {
  let at: unknown = schema;
  for (const key of path) {
    const properties = tableAt(at, "properties");
    at = Object.hasOwn(properties, key) ? properties[key] : tableAt(at, "additionalProperties");
  }
  return Object.keys(tableAt(at, "properties"));
}

function valueAt(value: unknown, path: PropertyKey[]): unknown {
  let at = value;
  for (const key of path) at = (at as Record<PropertyKey, unknown> | undefined)?.[key];
  return at;
}

function configError(problems: ConfigProblem[], source: { file: string; prefix: string[]; text: string }): SheafError {
  const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  const where = source.prefix.length > 0 ? " in [tool.sheaf]" : "";
  const placed = problems.map((problem) => ({
    ...problem,
    line: lineOfKey(source.text, [...source.prefix, ...problem.path]),
  }));
  placed.sort((a, b) => a.line - b.line);
  return new SheafError("SHEAF_CONFIG", `${source.file} has ${count}${where}`, {
    details: placed.map(({ path, message, line }) => [path.join(".") || "[tool.sheaf]", `${message}  (line ${line})`]),
  });
}

function configuredTwice(first: string, second: string): SheafError {
  return new SheafError("SHEAF_CONFIG_TWICE", `both ${first} and ${second} configure Sheaf`, {
    hint: `keep one of them: move what ${second} says into ${first}, or the other way round`,
  });
}
