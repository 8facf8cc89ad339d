# A minimal Debian with what CPython's official images have of libraries, as a folder. Sourced by the scripts that make
# stand-ins of base images. Bootstrapped once (25 s), then kept as an archive in .tools.

stand_in_version=3
debian_suite=bookworm
debian_archive=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.tools/debian-$debian_suite-$stand_in_version.tar

# make_debian_root FOLDER
make_debian_root() {
  if [ ! -f "$debian_archive" ]; then bootstrap_debian; fi
  tar -C "$1" --numeric-owner -xf "$debian_archive"
}

bootstrap_debian() {
  local libraries=libbz2-1.0,libexpat1,libffi8,libgdbm6,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1,zlib1g
  local bootstrap log
  bootstrap=$(mktemp -d)
  log=$bootstrap.log
  debootstrap --variant=minbase --include="ca-certificates,netbase,tzdata,$libraries" \
    "$debian_suite" "$bootstrap" >"$log" 2>&1 || {
    tail -5 "$log" >&2
    rm -rf "$bootstrap" "$log"
    return 1
  }
  rm -rf "$bootstrap"/usr/share/{doc,man,locale,info,lintian}/* "$bootstrap"/var/cache/apt/archives/*.deb \
    "$bootstrap"/var/lib/apt/lists/* "$bootstrap"/dev/*
  keep_apt_small "$bootstrap"
  use_own_sources "$bootstrap"
  mkdir -p "$(dirname "$debian_archive")"
  tar -C "$bootstrap" --numeric-owner -cf "$debian_archive.part" .
  mv "$debian_archive.part" "$debian_archive"
  rm -rf "$bootstrap" "$log"
}

# As Debian's official images have it: apt leaves neither packages nor its 60 MB of binary caches in a layer.
keep_apt_small() {
  cat >"$1/etc/apt/apt.conf.d/docker-clean" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
CONF
  echo 'Acquire::Languages "none";' >"$1/etc/apt/apt.conf.d/docker-no-languages"
  printf '%s\n' 'Acquire::GzipIndexes "true";' >"$1/etc/apt/apt.conf.d/docker-gzip-indexes"
  # The slim ones install no documentation.
  printf 'path-exclude /usr/share/%s/*\n' doc info lintian man >"$1/etc/dpkg/dpkg.cfg.d/docker"
}

# apt in RUN reaches what it reaches on this machine, and trusts the same authorities.
use_own_sources() {
  rm -f "$1/etc/apt/sources.list"
  cp /etc/apt/sources.list.d/debian.sources "$1/etc/apt/sources.list.d/" 2>/dev/null ||
    cp /etc/apt/sources.list "$1/etc/apt/sources.list"
  cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/" 2>/dev/null || true
  chroot "$1" update-ca-certificates >/dev/null 2>&1
}

# has_image TAG: whether the engine has it as this version of the scripts makes it.
has_image() {
  [ "$("$docker" image inspect -f '{{index .Config.Labels "stand-in"}}' "$1" 2>/dev/null)" = "$stand_in_version" ]
}

docker=${SHEAF_TEST_DOCKER:-/usr/bin/docker}
