import { z } from "zod";

const command = z.array(z.string()).min(1);

/** A check of one's own: one of command, url, file, absent, label and env. */
const CustomCheck = z.strictObject({
  title: z.string().optional(),
  why: z.string().optional(),
  hint: z.string().optional(),
  /** Words of a command that is run in the container; `exit` (0 unless set) and `output` hold its result. */
  command: z.array(z.string()).min(1).optional(),
  exit: z.int().min(0).max(255).optional(),
  /** A path such as `/docs`, or a URL with the container's own port, that is asked; `status` (200 unless set) and `output`. */
  url: z.string().optional(),
  status: z.int().min(100).max(599).optional(),
  /** Regular expression that has to be found in the output, the answer, the file, the label or the variable. */
  output: z.string().optional(),
  file: z.string().optional(),
  absent: z.string().optional(),
  label: z.string().optional(),
  env: z.string().optional(),
});

/** What `sheaf verify` holds an image to. Sizes as `300MB`, times in seconds. */
export const ContractSettings = z.strictObject({
  role: z.enum(["api", "worker", "beat", "flower", "other", "base"]).optional(),
  /** Checks that don't count, by id or as `group.*`, each with the reason. */
  skip: z.record(z.string(), z.string().min(1)).optional(),
  user: z.string().optional(),
  uid: z.int().min(1).optional(),
  health: z
    .union([
      z.literal(false),
      z.strictObject({
        interval: z.number().positive().optional(),
        timeout: z.number().positive().optional(),
        "start-period": z.number().min(0).optional(),
        retries: z.int().min(1).optional(),
      }),
    ])
    .optional(),
  ports: z.array(z.int().min(1).max(65535)).optional(),
  "stop-signal": z.string().optional(),
  /** Variables with the value that they must have. */
  env: z.record(z.string(), z.string()).optional(),
  /** Labels that must be there. */
  labels: z.array(z.string()).optional(),
  size: z.string().optional(),
  "compressed-size": z.string().optional(),
  "layer-size": z.string().optional(),
  layers: z.int().min(1).optional(),
  /** Bytes that may be shipped and not seen: files deleted or replaced by a later layer. */
  waste: z.string().optional(),
  /** Bytes that may be there more than once. */
  duplicates: z.string().optional(),
  /** Whether programs of the distribution's own packages may have setuid bits. */
  setuid: z.enum(["none", "packaged"]).optional(),
  /** `none`, `any`, or the release of CUDA that the image must have. */
  cuda: z.string().optional(),
  /** GPUs that every framework in the image must have code for: names or compute capabilities. */
  "gpu-targets": z.array(z.string()).optional(),
  /** Label that says which driver the image needs. */
  "driver-label": z.string().optional(),
  /** Paths, in .gitignore's syntax, that `files.*` says nothing of. */
  "allow-files": z.array(z.string()).optional(),
  /** Names of libraries that may be missing. */
  "allow-libraries": z.array(z.string()).optional(),
  /** ARGs that the Dockerfile must take. */
  "build-args": z.array(z.string()).optional(),
  /** URL, or path of the one port, that the running image answers at; what it answers has these fields. */
  "health-url": z.string().optional(),
  "health-body": z.record(z.string(), z.json()).optional(),
  /** URL or path whose answer takes a second or more: a request in flight while the image stops. */
  "slow-url": z.string().optional(),
  /** Start to the first valid answer. */
  start: z.number().positive().optional(),
  starts: z.int().min(1).max(50).optional(),
  answer: z.number().positive().optional(),
  concurrency: z.int().min(1).max(1000).optional(),
  stop: z.number().positive().optional(),
  "exit-codes": z.array(z.int().min(0).max(255)).optional(),
  memory: z.string().optional(),
  /** Environment that the container needs to run at all, for the running checks. */
  "run-env": z.record(z.string(), z.string()).optional(),
  /** Variables by which it finds the Redis that runs beside it for the running checks; none, where it shall have none. */
  "broker-env": z.array(z.string().min(1)).optional(),
  /** A task of the image's own that a worker is busy with while it is tried. */
  "worker-task": z.strictObject({ name: z.string().min(1), args: z.array(z.json()).optional() }).optional(),
  build: z
    .strictObject({
      clean: z.number().positive().optional(),
      cached: z.number().positive().optional(),
      code: z.number().positive().optional(),
      dependency: z.number().positive().optional(),
    })
    .optional(),
  /** Checks of one's own by name: `[tool.sheaf.contract.checks.NAME]`. */
  checks: z.record(z.string().regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/), CustomCheck).optional(),
});
export type ContractSettings = z.infer<typeof ContractSettings>;

/** One image. Keys are written in kebab-case, as in pyproject.toml. */
export const ImageSettings = z.strictObject({
  /** `debian` for an image of Debian packages alone, such as a server beside the app; the project's own code unless set. */
  kind: z.enum(["python", "debian"]).optional(),
  role: z.enum(["api", "worker", "beat", "flower", "other"]).optional(),
  /** `module:attribute`, or `module:factory()`. */
  app: z.string().optional(),
  command: command.optional(),
  extras: z.array(z.string()).optional(),
  groups: z.array(z.string()).optional(),
  /** requirements files instead of those found. */
  requirements: z.array(z.string()).optional(),
  /** URL that answers when the image is healthy, a command that succeeds then, or false for none. */
  health: z.union([z.string(), command, z.literal(false)]).optional(),
  "health-client": z.enum(["wget", "curl", "python"]).optional(),
  port: z.int().min(1).max(65535).optional(),
  env: z.record(z.string(), z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  /** Debian packages beside those found to be needed. */
  packages: z.array(z.string()).optional(),
  /** Folders that this image may write to, beside those of all images. */
  writable: z.array(z.string()).optional(),
  /** Name of the user of an image of Debian packages: the one that its package makes, unless set. */
  user: z.string().optional(),
  workdir: z.string().optional(),
  "stop-signal": z.string().optional(),
  /** Size that the unpacked image must not exceed: `300MB`. */
  budget: z.string().optional(),
  /** Modules that may be missing although the code imports them. */
  "allow-missing": z.array(z.string()).optional(),
  gpu: z
    .strictObject({
      /** Release of CUDA that the wheels have to bring: `12.1`. */
      cuda: z.string().optional(),
      /** GPUs by name or compute capability; device code of others is left out. All stays unless set. */
      targets: z.array(z.string()).optional(),
      /** What is left out beside device code: nothing in `full`, which is the default. */
      profile: z.enum(["full", "training", "inference"]).optional(),
      /** Parts of CUDA that stay whatever the profile says, and that go although it keeps them. */
      keep: z.array(z.string()).optional(),
      drop: z.array(z.string()).optional(),
      /** Whether NVIDIA's own libraries lose device code too. */
      "prune-nvidia": z.boolean().optional(),
    })
    .optional(),
  contract: ContractSettings.optional(),
});
export type ImageSettings = z.infer<typeof ImageSettings>;

/** `[tool.sheaf]` in pyproject.toml, or sheaf.toml. */
export const SheafConfig = z.strictObject({
  python: z.string().optional(),
  "app-env": z.string().optional(),
  /** `debian`, or an OCI layout, archive or reference. */
  base: z.string().optional(),
  /** Debian suite of the composed base, the machine's own unless set. */
  suite: z.string().optional(),
  shell: z.boolean().optional(),
  strip: z.boolean().optional(),
  bytecode: z.boolean().optional(),
  /** Name and uid:gid of the user: `appuser`, 10001. */
  user: z.string().optional(),
  uid: z.int().min(1).optional(),
  /** Paths, in .gitignore's syntax, that ship although an ignore file names them, and that do not. */
  include: z.array(z.string()).optional(),
  exclude: z.array(z.string()).optional(),
  /** Folders that the app may write to: owned by the user. */
  writable: z.array(z.string()).optional(),
  platforms: z.array(z.string()).optional(),
  /** Distributions whose files win where several write one path. */
  "keep-files-of": z.array(z.string()).optional(),
  /** Debian packages whose maintainer scripts do nothing that the image needs. */
  "ignore-scripts": z.array(z.string()).optional(),
  "layer-budget": z.int().min(8).max(125).optional(),
  contract: ContractSettings.optional(),
  images: z.record(z.string(), ImageSettings).optional(),
  ...ImageSettings.pick({ env: true, labels: true, packages: true, "allow-missing": true }).shape,
});
export type SheafConfig = z.infer<typeof SheafConfig>;
