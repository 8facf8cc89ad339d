#!/usr/bin/env bash
# Gives the engine what Dockerfiles with `# syntax=docker/dockerfile:1` ask a registry for: BuildKit's Dockerfile frontend,
# built from its Go module, as the local image docker/dockerfile:1 with the labels that upstream's has. Debian's engine
# (20.10) finds it before it asks a registry, and then knows COPY --link, heredocs and `# check=`, which its built-in
# frontend doesn't. (On an engine that old, --link copies as usual: it asks for an LLB operation that came later.)
# Needs Go for the first time (about 2 min; .tools keeps the program) and a running engine.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/debian-root.sh"
source "$(dirname "${BASH_SOURCE[0]}")/go-tool.sh"

tag=docker/dockerfile:1
package=github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend

if has_image "$tag"; then
  echo "$tag is there"
  exit
fi
go_tool dockerfile-frontend "$package" v0.34.2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/bin"
cp "$tools/bin/dockerfile-frontend" "$root/bin/"
tar -C "$root" --owner=0 --group=0 -c . | "$docker" import \
  -c 'ENTRYPOINT ["/bin/dockerfile-frontend"]' \
  -c 'LABEL moby.buildkit.frontend.network.none=true' \
  -c 'LABEL moby.buildkit.frontend.caps=moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests,moby.buildkit.frontend.contexts' \
  -c "LABEL stand-in=$stand_in_version" \
  - "$tag" >/dev/null
echo "made $tag"
