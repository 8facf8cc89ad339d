# Steps and their counts. Sourced by .ci/run, which sets $logs.

# Preparation counts only when it fails; the tests then say what they miss.
prepare() {
  step "$@"
  if [ "$status" != 0 ]; then count 0 1; fi
}

# A step that is one check.
check() {
  step "$@"
  if [ "$status" = 0 ]; then count 1 0; else count 0 1; fi
}

# A step that counts its tests itself, and may leave the names of skipped ones in $logs/skipped. A crash, a time-out or no test at all is one failure more.
suite() {
  local before failed_before
  before=$(total passed)
  failed_before=$(total failed)
  rm -f "$logs/skipped"
  step "$@"
  if [ -s "$logs/skipped" ]; then cat "$logs/skipped"; fi
  if [ "$status" != 0 ] && [ "$(total failed)" = "$failed_before" ]; then count 0 1; fi
  if [ "$status" = 0 ] && [ "$(total passed)" = "$before" ]; then
    echo "   no test ran"
    count 0 1
  fi
}

# step TITLE COMMAND…: prints a heading and the time; the end of the log when the command fails. Sets $status.
step() {
  local title=$1 started=$SECONDS log
  log=$logs/$(tr -c 'a-z0-9\n' '-' <<<"${1,,}").log
  shift
  echo "== $title"
  # As a condition's part, the subshell would ignore its set -e.
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [ "$status" != 0 ]; then tail -n 120 "$log"; fi
  echo "   $([ "$status" = 0 ] && echo ok || echo "FAILED, status $status"), $((SECONDS - started)) s"
}

# count PASSED FAILED
count() {
  echo "$1 $2" >>"$logs/counts"
}

# total passed|failed
total() {
  local column=1
  if [ "$1" = failed ]; then column=2; fi
  touch "$logs/counts"
  awk -v column="$column" '{ sum += $column } END { print sum + 0 }' "$logs/counts"
}

verdict() {
  local passed failed
  passed=$(total passed)
  failed=$(total failed)
  echo "== took $((SECONDS / 60)) min $((SECONDS % 60)) s"
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
