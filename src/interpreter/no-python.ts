import { SheafError } from "../errors.ts";
import { platformName } from "../platform.ts";
import type { InterpreterRequest } from "./request.ts";
import type { Discovery } from "./discover.ts";
import type { Rejection } from "./inspect.ts";
import { minorOf } from "./version.ts";

interface Attempts {
  discovery: Discovery;
  tried: Rejection[];
  /** Path of uv, when there is one. */
  uv?: string;
}

/** What was asked for, where it was looked for, what came close, and each way to get one. */
export function noPythonError(request: InterpreterRequest, { discovery, tried, uv }: Attempts): SheafError {
  const { wanted, requires, source, platform } = request;
  const asked = wanted ? `Python ${wanted}` : requires ? `Python ${requires}` : "Python";
  const searched = discovery.searched.map(({ what, count }) => (count > 0 ? `${what} (${count})` : what));
  return new SheafError("SHEAF_NO_PYTHON", `no ${asked} for ${platformName(platform)} was found`, {
    details: [
      ["asked for by", source],
      ["looked in", searched.join(", ")],
      ...tried.map(({ what, whyNot }): [string, string] => ["not taken", `${what} ${verb(whyNot)}`]),
    ],
    hint: [...hints(wanted, uv), ...otherMinors(request, discovery)],
  });
}

function hints(wanted: string | undefined, uv: string | undefined): string[] {
  const version = wanted ?? "3.12";
  return [
    uv ? `uv python install ${version}` : `install uv, then: uv python install ${version}`,
    `or pyenv install ${version}`,
    `or take it from an image: --base python:${minorOf(version)}-slim`,
  ];
}

function otherMinors({ wanted, platform }: InterpreterRequest, discovery: Discovery): string[] {
  if (!wanted) return [];
  const machine = platform.architecture === "amd64" ? "x86_64" : "aarch64";
  const minors = [...new Set(discovery.candidates.filter((one) => one.machine === machine).map((one) => one.minor))];
  return minors.length === 0
    ? []
    : [`or build with one that is here (${minors.toSorted().join(", ")}): --python VERSION`];
}

function verb(whyNot: string): string {
  return /^(is|isn't|was|lies|belongs|links|needs|doesn't|comes)\b/.test(whyNot) ? whyNot : `— ${whyNot}`;
}
