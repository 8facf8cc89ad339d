import type { DebEffect } from "./effects.ts";
import {
  compareToNothing,
  done,
  failed,
  imagePath,
  octal,
  part,
  printed,
  readOptions,
  unclear,
} from "./script-arguments.ts";
import { pureCommand } from "./script-pure.ts";
import { accountCommand, suCommand } from "./script-accounts.ts";
import { pamEffects, sysusersEffects } from "./script-files.ts";
import { alternativesCommand } from "./script-alternatives.ts";
import { leftOutCommands, pureCommands, quietCommands, transientPaths } from "./script-commands.ts";
import { UnknownStatement } from "./script-error.ts";
import type { CommandCall, Outcome, ShellHost, ShellState } from "./shell/host.ts";
import type { Status, Value } from "./shell/values.ts";

/** What a maintainer script may know of the root: the package itself, unpacked, and nothing else. */
export interface PackageFacts {
  name: string;
  architecture: string;
  /** Paths as in the image; the text of a link is its target. */
  entries: ReadonlyMap<string, { type: string; mode: number; text(): string }>;
  /** Defaults of the questions that the package asks by debconf. */
  answers: ReadonlyMap<string, string>;
}

/** Users and groups that may be there before any package asks for one. */
const namesOfBase = new Set(
  "root daemon bin sys adm tty disk lp mail man games shadow utmp staff users nogroup nobody www-data".split(" "),
);

type Handler = (call: CommandCall, shell: ShellState) => Outcome;

/** Follows maintainer scripts and notes what they would do. */
export class ScriptHost implements ShellHost {
  readonly effects: DebEffect[] = [];
  readonly #facts: PackageFacts;
  /** What scripts made, by path. */
  readonly #made = new Map<string, { type: "file" | "directory" | "symlink"; text: string }>();
  readonly #handlers: Record<string, Handler | undefined>;

  constructor(facts: PackageFacts) {
    this.#facts = facts;
    const account: Handler = (call) => accountCommand(call, this.effects);
    this.#handlers = {
      ".": (call) => this.#source(call),
      source: (call) => this.#source(call),
      false: () => failed,
      command: (call) => this.#isThere(call),
      which: (call) => this.#isThere(call),
      type: (call) => this.#isThere(call),
      dpkg: (call) => this.#dpkg(call),
      "dpkg-query": () => failed,
      "dpkg-statoverride": (call) => this.#statOverride(call),
      "dpkg-realpath": ({ args }) => ({ status: true, output: args.at(-1) }),
      "dpkg-divert": (call) => this.#divert(call),
      su: suCommand,
      "systemd-sysusers": (call) => this.#sysusers(call),
      "pam-auth-update": () => this.#addAll(pamEffects),
      odbcinst: (call) => this.#registerDriver(call),
      // A program that is run to see whether it is there.
      systemd: () => failed,
      dirname: ({ args }) =>
        part(args, (path) => path.replace(/\/+[^/]*\/*$/, "") || (path.startsWith("/") ? "/" : ".")),
      basename: ({ args }) =>
        part(args, (path) => (path.split("/").findLast((piece) => piece !== "") ?? "/").replace(args[1] ?? "\0", "")),
      getent: (call) => this.#getent(call),
      ldconfig: () => this.#add({ kind: "ldconfig" }),
      "add-shell": ({ args }) => this.#addAll(args.flatMap((path) => (path ? [{ kind: "shell", path } as const] : []))),
      "update-alternatives": (call) => this.#addAll(alternativesCommand(call)),
      adduser: account,
      addgroup: account,
      useradd: account,
      groupadd: account,
      usermod: account,
      gpasswd: account,
      mkdir: (call) => this.#makeDirectories(call),
      install: (call) => this.#install(call),
      ln: (call) => this.#link(call),
      touch: (call) => this.#touch(call),
      cp: (call) => this.#copy(call),
      // Asked to forget a file, it has none to forget.
      ucf: (call) => (call.args.some((arg) => arg === "--purge" || arg === "-p") ? done : this.#copy(call)),
      mv: (call) => this.#move(call),
      rm: () => done,
      rmdir: () => done,
      unlink: () => done,
      chmod: (call) => this.#change(call, "mode"),
      chown: (call) => this.#change(call, "owner"),
      chgrp: (call) => this.#change(call, "group"),
      tee: (call) => this.#tee(call),
    };
  }

  run(call: CommandCall, shell: ShellState): Outcome {
    const name = call.name.slice(call.name.lastIndexOf("/") + 1);
    const handler = this.#handlers[name];
    if (handler) return handler(call, shell);
    if (name.startsWith("db_")) return this.#debconf(call, shell);
    if (quietCommands.has(name)) return printed(call, name);
    if (pureCommands.has(name)) return pureCommand(call, name, this);
    const reason = leftOutCommands.get(name);
    if (reason !== undefined) return this.#leaveOut(reason);
    if (/^python3(\.\d+)?$/.test(name) && call.args.some((arg) => arg?.endsWith("py_compile.py")))
      return this.#leaveOut(leftOutCommands.get("py3compile") ?? "");
    // A program of another package, by its path, is not there.
    if (
      call.name.startsWith("/") &&
      !this.#facts.entries.has(imagePath(call.name)) &&
      !/^\/(usr\/)?s?bin\//.test(call.name)
    )
      return failed;
    throw new UnknownStatement(call.line, `${call.name || "a command whose name depends on the machine"} is not known`);
  }

  write({ path, append, text, line }: { path: Value; append: boolean; text: Value; line: number }): void {
    if (path === undefined) throw new UnknownStatement(line, "it writes to a file whose name depends on the machine");
    if (transientPaths.test(path)) return;
    const before = append ? (this.#textOf(path) ?? "") : "";
    if (text === undefined) throw new UnknownStatement(line, `it writes to ${path} what depends on the machine`);
    if (before !== "" || text !== "" || this.test("e", path) === false) this.#makeFile(path, before + text, 0o644);
  }

  list(pattern: RegExp): string[] {
    const known = [...this.#facts.entries.keys(), ...this.#made.keys()];
    return [...new Set(known.map((path) => `/${path}`))].filter((path) => pattern.test(path)).toSorted();
  }

  test(kind: string, path: string): Status {
    if (kind === "t") return false;
    if (!/^[edfhLrwxsbcpSugkGO]$/.test(kind)) return undefined;
    const key = imagePath(path);
    const entry = this.#facts.entries.get(key);
    const type = this.#made.get(key)?.type ?? entry?.type;
    if (type === undefined) return this.#isParent(key) && "edrwx".includes(kind);
    if (kind === "d") return type === "directory";
    if (kind === "f") return type === "file" || type === "hardlink";
    if (kind === "h" || kind === "L") return type === "symlink";
    if (kind === "x") return type !== "file" || ((entry?.mode ?? 0) & 0o111) !== 0;
    if (kind === "s") return type === "file" ? this.#textOf(path) !== "" : undefined;
    return "erw".includes(kind) ? true : undefined;
  }

  /** A folder that is there because something is in it. */
  #isParent(key: string): boolean {
    if (key === "") return true;
    for (const path of this.#facts.entries.keys()) if (path.startsWith(`${key}/`)) return true;
    return false;
  }

  #textOf(path: string): string | undefined {
    const key = imagePath(path);
    return this.#made.get(key)?.text ?? this.#facts.entries.get(key)?.text();
  }

  #add(effect: DebEffect): Outcome {
    this.effects.push(effect);
    return done;
  }

  #addAll(effects: DebEffect[]): Outcome {
    this.effects.push(...effects);
    return done;
  }

  #leaveOut(what: string): Outcome {
    if (!this.effects.some((effect) => effect.kind === "left-out" && effect.what === what))
      this.effects.push({ kind: "left-out", what });
    return done;
  }

  /** debconf(7) with the defaults of the package's own templates. */
  #debconf({ name, args }: CommandCall, shell: ShellState): Outcome {
    if (name === "db_get" || name === "db_fget" || name === "db_metaget") {
      const answer = name === "db_get" ? this.#facts.answers.get(args[0] ?? "") : "false";
      shell.variables.set("RET", args[0] === undefined ? undefined : (answer ?? ""));
    }
    return done;
  }

  #source({ args, line }: CommandCall): Outcome {
    const [file] = args;
    if (
      file !== undefined &&
      /\/(confmodule|init-functions|maintscript-helper|dpkg-maintscript-helper|os-release)$/.test(file)
    )
      return done;
    if (file !== undefined && this.test("e", file) === false) return failed;
    throw new UnknownStatement(line, `it reads ${file ?? "another file"} as a part of itself`);
  }

  #isThere({ name, args }: CommandCall): Outcome {
    const wanted = args.find((arg) => arg === undefined || !arg.startsWith("-"));
    if (name === "command" && !args.some((arg) => arg === "-v" || arg === "-V")) return unclear;
    if (wanted === undefined) return unclear;
    const base = wanted.slice(wanted.lastIndexOf("/") + 1);
    if (this.#handlers[base] || pureCommands.has(base) || leftOutCommands.has(base))
      return { status: true, output: wanted };
    return { status: this.test("e", wanted.startsWith("/") ? wanted : `/usr/bin/${base}`), output: "" };
  }

  #dpkg({ args }: CommandCall): Outcome {
    if (args[0] === "--print-architecture") return { status: true, output: this.#facts.architecture };
    if (args[0] === "--compare-versions") return compareToNothing(args);
    if (args[0]?.startsWith("--assert") || args[0]?.startsWith("--validate")) return done;
    return failed;
  }

  #getent({ args }: CommandCall): Outcome {
    const [table, name] = args;
    if (name === undefined || (table !== "passwd" && table !== "group")) return unclear;
    const made = this.effects.some(
      (effect) => (effect.kind === "user" || effect.kind === "group") && effect.name === name,
    );
    return made || namesOfBase.has(name) ? unclear : failed;
  }

  #statOverride({ args, line }: CommandCall): Outcome {
    const add = args.indexOf("--add");
    if (add < 0) return failed;
    const [owner, group, mode, path] = args.slice(add + 1).filter((arg) => !arg?.startsWith("--"));
    if (!owner || !group || !mode || !path)
      throw new UnknownStatement(line, "dpkg-statoverride with values that depend on the machine");
    return this.#setAttributes(path, { owner, group, mode: Number.parseInt(mode, 8) });
  }

  #makeDirectories({ args, line }: CommandCall): Outcome {
    const { options, rest } = readOptions(args, ["-m", "--mode"]);
    const mode = octal(options.get("-m") ?? options.get("--mode"));
    for (const path of rest) this.#makeDirectory(path, { line, ...(mode === undefined ? {} : { mode }) });
    return done;
  }

  #makeDirectory(
    path: Value,
    { line, ...attributes }: { line: number; mode?: number; owner?: string; group?: string },
  ): void {
    if (path === undefined) throw new UnknownStatement(line, "it makes a folder whose name depends on the machine");
    this.#made.set(imagePath(path), { type: "directory", text: "" });
    if (!transientPaths.test(path))
      this.effects.push({ kind: "directory", path: imagePath(path), create: true, ...attributes });
  }

  #install(call: CommandCall): Outcome {
    const { options, rest } = readOptions(call.args, ["-m", "--mode", "-o", "--owner", "-g", "--group"]);
    const mode = octal(options.get("-m") ?? options.get("--mode"));
    const owner = options.get("-o") ?? options.get("--owner");
    const group = options.get("-g") ?? options.get("--group");
    const attributes = {
      ...(mode === undefined ? {} : { mode }),
      ...(owner ? { owner } : {}),
      ...(group ? { group } : {}),
    };
    if (![...options.keys()].some((key) => key === "--directory" || /^-[a-zA-Z]*d[a-zA-Z]*$/.test(key)))
      return this.#copy({ ...call, args: rest });
    for (const path of rest) this.#makeDirectory(path, { line: call.line, ...attributes });
    return done;
  }

  #link({ args, line }: CommandCall): Outcome {
    const [target, path] = readOptions(args, []).rest;
    if (target === undefined || path === undefined)
      throw new UnknownStatement(line, "it makes a link whose name depends on the machine");
    const key = imagePath(path);
    this.#made.set(key, { type: "symlink", text: target });
    return transientPaths.test(path) ? done : this.#add({ kind: "symlink", path: key, target });
  }

  #touch({ args, line }: CommandCall): Outcome {
    for (const path of readOptions(args, ["-d", "-r", "-t"]).rest) {
      if (path === undefined) throw new UnknownStatement(line, "it makes a file whose name depends on the machine");
      if (this.test("e", path) === false) this.#makeFile(path, "", 0o644);
    }
    return done;
  }

  #copy({ args, line }: CommandCall): Outcome {
    const { rest } = readOptions(args, ["--debconf-template", "--sum-file", "--src-dir"]);
    const [from, to] = rest;
    if (to !== undefined && transientPaths.test(to)) return done;
    if (from !== undefined && this.test("e", from) === false) return failed;
    if (
      from !== undefined &&
      to !== undefined &&
      this.test("L", from) === true &&
      args.some((arg) => /^-[a-zA-Z]*[adP]/.test(arg ?? ""))
    ) {
      return this.#link({ name: "ln", args: [this.#textOf(from), to], input: "", line });
    }
    const text = from !== undefined && this.test("f", from) === true ? this.#textOf(from) : undefined;
    if (rest.length !== 2 || from === undefined || to === undefined || text === undefined) {
      throw new UnknownStatement(line, `it copies ${from ?? "a file"}, which depends on the machine`);
    }
    this.#makeFile(this.test("d", to) ? `${to}/${from.split("/").at(-1)}` : to, text, 0o644);
    return done;
  }

  #move({ args, line }: CommandCall): Outcome {
    const [from, to] = readOptions(args, []).rest;
    if (from !== undefined && this.test("e", from) === false) return failed;
    const made = from !== undefined && !transientPaths.test(from) ? this.#made.get(imagePath(from)) : undefined;
    const effect = this.effects.findLast(
      (candidate) => "path" in candidate && from !== undefined && candidate.path === imagePath(from),
    );
    if (made && to !== undefined && effect && "path" in effect) {
      effect.path = imagePath(to);
      this.#made.delete(imagePath(from ?? ""));
      this.#made.set(imagePath(to), made);
      return done;
    }
    if (to !== undefined && transientPaths.test(to)) return done;
    throw new UnknownStatement(line, `it moves ${from ?? "a file"}`);
  }

  #change({ args }: CommandCall, what: "mode" | "owner" | "group"): Outcome {
    const { rest, options } = readOptions(args, ["--reference"]);
    const [value, ...paths] = rest;
    if (value === undefined || options.has("--reference")) {
      return this.#leaveOut("a mode or an owner that depends on the machine");
    }
    const [owner, group] = value.split(/[:.]/);
    const mode = octal(value);
    for (const path of paths) {
      if (path === undefined) return this.#leaveOut("modes and owners of files that depend on the machine");
      if (what === "mode" && mode !== undefined) this.#setAttributes(path, { mode });
      else if (what === "mode") this.#leaveOut(`mode ${value} of ${path}`);
      else
        this.#setAttributes(
          path,
          what === "group" ? { group: value } : { ...(owner ? { owner } : {}), ...(group ? { group } : {}) },
        );
    }
    return done;
  }

  #setAttributes(path: string, attributes: { mode?: number; owner?: string; group?: string }): Outcome {
    const key = imagePath(path);
    if (transientPaths.test(path) || this.test("e", path) === false) return done;
    const isFolder = this.test("d", path) === true;
    const earlier = this.effects.findLast(
      (effect) => (effect.kind === "directory" || effect.kind === "file") && effect.path === key,
    );
    if (earlier?.kind === "directory") Object.assign(earlier, attributes);
    else if (isFolder) this.effects.push({ kind: "directory", path: key, create: false, ...attributes });
    else if (earlier?.kind === "file" && attributes.mode !== undefined) earlier.mode = attributes.mode;
    else if (!earlier) this.effects.push({ kind: "attributes", path: key, ...attributes });
    return done;
  }

  /** Other packages' files are not moved aside here: systemEntries refuses an image in which that would matter. */
  #divert({ args, line }: CommandCall): Outcome {
    const path = args.at(-1);
    if (args.includes("--truename")) return { status: true, output: path };
    if (args.some((arg) => arg === "--list" || arg === "--listpackage" || arg === "--remove")) return failed;
    if (args.includes("--no-rename")) return done;
    if (path === undefined || args.includes(undefined))
      throw new UnknownStatement(line, "it diverts a file whose name depends on the machine");
    return this.#add({ kind: "diversion", path: imagePath(path), by: this.#facts.name });
  }

  #sysusers({ args, line }: CommandCall): Outcome {
    const files = args.filter((arg) => arg === undefined || arg.endsWith(".conf"));
    for (const file of files) {
      const text =
        file === undefined ? undefined : this.#textOf(file.includes("/") ? file : `/usr/lib/sysusers.d/${file}`);
      if (text === undefined)
        throw new UnknownStatement(line, "systemd-sysusers with a file that the package does not have");
      this.effects.push(...sysusersEffects(text));
    }
    return done;
  }

  #registerDriver({ args, line }: CommandCall): Outcome {
    const file = args[args.indexOf("-f") + 1];
    const text = file === undefined ? undefined : this.#textOf(file);
    if (!args.includes("-i") || !args.includes("-d") || text === undefined)
      throw new UnknownStatement(line, "odbcinst with what depends on the machine");
    return this.#add({ kind: "odbc-driver", text });
  }

  #tee({ args, input, line }: CommandCall): Outcome {
    const { rest, options } = readOptions(args, []);
    for (const path of rest) this.write({ path, append: options.has("-a"), text: input, line });
    return { status: true, output: input };
  }

  #makeFile(path: string, text: string, mode: number): void {
    if (transientPaths.test(path)) return;
    const key = imagePath(path);
    this.#made.set(key, { type: "file", text });
    this.effects.push({ kind: "file", path: key, text, mode });
  }
}
