import * as fs from "node:fs";
import * as path from "node:path";

import { repository } from "./sheaf.ts";

/**
 * The example as a repository of its own, with a worker that counts without torch and PostgreSQL and Redis from Debian's
 * packages: all of it can be built and run in a test.
 */
export function writePlantsRepository(folder: string, name: string): void {
  fs.cpSync(path.join(repository, "examples", "demeterai"), folder, { recursive: true });
  for (const file of ["compose.yaml", "kubernetes", "Dockerfile", "Dockerfile.gpu", "app/ml/model.py"])
    fs.rmSync(path.join(folder, file), { recursive: true, force: true });
  const pyproject = path.join(folder, "pyproject.toml");
  const [before = ""] = fs.readFileSync(pyproject, "utf8").split("[tool.sheaf]");
  fs.writeFileSync(pyproject, `${before.replace('name = "demeterai"', `name = "${name}"`)}${configuration}`);
  fs.writeFileSync(path.join(folder, "app", "ml", "counter.py"), counter);
}

const configuration = `[tool.sheaf]
app-env = "production"
writable = ["uploads"]

[tool.sheaf.images.api]
requirements = ["requirements/api.txt"]
command = ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"]
health = "http://localhost:8000/health"

[tool.sheaf.images.worker]
requirements = ["requirements/api.txt"]
command = ["celery", "-A", "app.celery_app", "worker", "--pool=solo", "--concurrency=1"]

[tool.sheaf.images.redis]
kind = "debian"
packages = ["redis-server"]

[tool.sheaf.images.postgres]
kind = "debian"
packages = ["postgresql-15"]
`;

const counter = `"""Counts green pixels of a small copy of the photo."""

import io

from PIL import Image


class Counter:
    device = "cpu"

    def count(self, photo: bytes) -> int:
        with Image.open(io.BytesIO(photo)) as image:
            pixels = image.convert("RGB").tobytes()
        return sum(1 for at in range(0, len(pixels), 3) if pixels[at + 1] > pixels[at])


def get_counter() -> Counter:
    return Counter()
`;

/** A photo (PPM) of the given number of green pixels, the rest of them brown. */
export function photoOf(plants: number): Uint8Array<ArrayBuffer> {
  const [width, height] = [32, 32];
  const pixels = Array.from({ length: width * height }, (_, index) => (index < plants ? [10, 200, 10] : [120, 80, 40]));
  return new Uint8Array(Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), Buffer.from(pixels.flat())]));
}
