import { expect, it } from "vitest";

import { executed, readSteps } from "./buildkit-steps.ts";
import { withOwnCaches } from "./buildkit.ts";

const log = `#1 [internal] load build definition from Dockerfile
#1 sha256:d5da7ab1423eef2e684d0a5176e8c45e9d725e5ad668bf723474bdd7df9091b4
#1 DONE 0.0s

#4 docker-image://docker.io/docker/dockerfile:1
#4 CACHED

#5 [builder 1/3] FROM docker.io/library/python:3.12-slim
#5 DONE 0.0s

#6 [builder 2/3] RUN --mount=type=cache,target=/root/.cache     uv pip sync lock.txt
#6 sha256:2de41a62d953f8722ba67f51ac32b09c398e202b4c76b13a190905234b3072d7
#6 CACHED

#7 [builder 3/3] COPY app app
#7 0.397 DONE 1.0s of nothing
#7 DONE 0.5s

#8 [runtime 1/1] RUN false
#8 ERROR: executor failed running [/bin/sh -c false]: exit code: 1
------
 > [runtime 1/1] RUN false:
`;

it("reads which steps were cached, carried out and failed out of BuildKit's plain progress", () => {
  expect(readSteps(log)).toEqual([
    { stage: "internal", instruction: "load build definition from Dockerfile", outcome: "done" },
    { stage: "builder 1/3", instruction: "FROM docker.io/library/python:3.12-slim", outcome: "done" },
    {
      stage: "builder 2/3",
      instruction: "RUN --mount=type=cache,target=/root/.cache     uv pip sync lock.txt",
      outcome: "cached",
    },
    { stage: "builder 3/3", instruction: "COPY app app", outcome: "done" },
    { stage: "runtime 1/1", instruction: "RUN false", outcome: "failed" },
  ]);
  expect(executed(readSteps(log))).toEqual(["COPY app app"]);
});

it("gives cache mounts names of their own and leaves other mounts alone", () => {
  const dockerfile = `RUN --mount=type=cache,id=x,target=/root/.cache/uv,sharing=locked \\
    --mount=type=bind,source=lock.txt,target=/lock.txt --mount=type=cache,target=/var/cache/apt make`;
  expect(withOwnCaches(dockerfile, "own")).toBe(
    `RUN --mount=type=cache,id=own-root-.cache-uv,target=/root/.cache/uv,sharing=locked \\
    --mount=type=bind,source=lock.txt,target=/lock.txt --mount=type=cache,id=own-var-cache-apt,target=/var/cache/apt make`,
  );
});
