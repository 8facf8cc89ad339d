# The suites that count their own tests, and the quickstart. Sourced by .ci/run.

ordinary_user=sheaf-ci

node_tests() {
  local outcome=0
  SHEAF_VITEST_JSON=$logs/vitest.json timeout -k 20 2700 npm test || outcome=$?
  if [ -f "$logs/vitest.json" ]; then
    node .ci/count-vitest.mjs "$logs/vitest.json" "$logs/skipped" >>"$logs/counts"
  fi
  return "$outcome"
}

# The one job that downloads CUDA (2.5 GB), which the store of the tests keeps.
gpu_worker_tests() {
  local outcome=0
  SHEAF_TEST_GPU_IMAGE=1 SHEAF_VITEST_JSON=$logs/gpu.json timeout -k 20 1500 npm test -- test/e2e/gpu-worker.test.ts || outcome=$?
  if [ -f "$logs/gpu.json" ]; then node .ci/count-vitest.mjs "$logs/gpu.json" "$logs/skipped" >>"$logs/counts"; fi
  return "$outcome"
}

# With PostgreSQL and Redis of its own; torch is gigabytes, so the counting tests are left to a developer's machine.
example_tests() {
  local python environment=$tools/example outcome=0
  python=$(example_python)
  "$python" -m venv "$environment"
  timeout 300 "$environment/bin/pip" install -q --require-hashes -r examples/demeterai/requirements/dev.txt
  (cd examples/demeterai && PYTHONDONTWRITEBYTECODE=1 timeout 300 "$environment/bin/python" -m pytest -q -p no:cacheprovider \
    --junitxml="$logs/pytest.xml") || outcome=$?
  if [ -f "$logs/pytest.xml" ]; then python3 .ci/count_pytest.py "$logs/pytest.xml" >>"$logs/counts"; fi
  return "$outcome"
}

example_python() {
  local candidate
  for candidate in "$HOME"/.pyenv/versions/3.1[23].*/bin/python3 "$(command -v python3.12)" "$(command -v python3.13)"; do
    if [ -x "$candidate" ]; then
      echo "$candidate"
      return
    fi
  done
  echo "no Python 3.12 or 3.13 on this machine" >&2
  return 1
}

# As someone who has Node and Debian's Python, and neither root nor an engine: a clone in a home of their own.
quickstart() {
  local home=/home/$ordinary_user variables=()
  remove_ordinary_user
  useradd --create-home --shell /bin/bash "$ordinary_user"
  git clone -q --no-hardlinks "$root" "$home/sheaf"
  chown -R "$ordinary_user:" "$home/sheaf"
  # How this machine reaches its package registries: certificates, proxies, indexes. Nothing else of ours.
  mapfile -t variables < <(env | grep -E '^([A-Z_]*(CERT|CA_BUNDLE|CAINFO)[A-Z_]*|[A-Za-z]+_(proxy|PROXY)|PIP_[A-Z_]+|UV_[A-Z_]+|npm_config_registry|LANG)=')
  timeout -k 20 600 runuser -u "$ordinary_user" -- env -i "${variables[@]}" \
    HOME="$home" USER="$ordinary_user" PATH=/usr/local/bin:/usr/bin:/bin \
    bash -c 'cd ~/sheaf && npm run quickstart' | tee "$logs/quickstart.out"
  grep -qx '{"status":"healthy"}' "$logs/quickstart.out"
}

remove_ordinary_user() {
  if ! id "$ordinary_user" >/dev/null 2>&1; then return; fi
  userdel --force --remove "$ordinary_user" >/dev/null 2>&1 || true
}
