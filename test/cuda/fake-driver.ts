import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** What the driver that a test stands in for has and does. */
export interface FakeDriver {
  /** As cuDriverGetVersion gives it: 12010 is CUDA 12.1. */
  version?: number;
  /** What cuInit returns. */
  init?: number;
  gpus?: { name: string; capability: string }[];
  /** It never comes back from cuInit, or dies of it. */
  trouble?: "hangs" | "crashes";
}

/** Compiles a libcuda.so.1 that answers as its environment says; needs gcc. */
export function buildFakeDriver(folder: string): void {
  const source = path.join(folder, "cuda.c");
  fs.writeFileSync(source, program);
  execFileSync("gcc", ["-shared", "-fPIC", "-O1", "-o", path.join(folder, "libcuda.so.1"), source], { stdio: "pipe" });
}

/** Variables by which a process finds the driver, and the driver what it is. */
export function driverEnvironment(folder: string, driver: FakeDriver): Record<string, string> {
  const { version = 12040, init = 0, gpus = [], trouble } = driver;
  return {
    LD_LIBRARY_PATH: folder,
    FAKE_VERSION: String(version),
    FAKE_INIT: String(init),
    FAKE_GPUS: gpus.map(({ capability, name }) => `${capability}=${name}`).join(";"),
    ...(trouble ? { FAKE_TROUBLE: trouble } : {}),
  };
}

const program = String.raw`
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int number(const char *name) { const char *text = getenv(name); return text ? atoi(text) : 0; }

int cuDriverGetVersion(int *version) { *version = number("FAKE_VERSION"); return 0; }

int cuInit(unsigned flags) {
  const char *trouble = getenv("FAKE_TROUBLE");
  if (trouble && !strcmp(trouble, "hangs")) for (;;) sleep(1000);
  if (trouble && !strcmp(trouble, "crashes")) abort();
  return flags ? 1 : number("FAKE_INIT");
}

int cuGetErrorName(int status, const char **name) {
  *name = status == 803 ? "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" : 0;
  return *name ? 0 : 1;
}

/* The text of a GPU: 8.6=NVIDIA A10 */
static int gpu(int index, char *text, size_t size) {
  const char *all = getenv("FAKE_GPUS");
  while (all && *all) {
    size_t length = strcspn(all, ";");
    if (index-- == 0) {
      if (length >= size) length = size - 1;
      memcpy(text, all, length);
      text[length] = 0;
      return 1;
    }
    all += length;
    if (*all) all++;
  }
  return 0;
}

int cuDeviceGetCount(int *count) {
  char text[256];
  for (*count = 0; gpu(*count, text, sizeof text); ++*count);
  return 0;
}

int cuDeviceGet(int *device, int index) { *device = index; return 0; }

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  char text[256];
  int major = 0, minor = 0;
  if (!gpu(device, text, sizeof text)) return 101;
  sscanf(text, "%d.%d", &major, &minor);
  *value = attribute == 75 ? major : attribute == 76 ? minor : 0;
  return 0;
}

int cuDeviceGetName(char *name, int size, int device) {
  char text[256];
  if (!gpu(device, text, sizeof text)) return 101;
  snprintf(name, size, "%s", strchr(text, '=') + 1);
  return 0;
}
`;
