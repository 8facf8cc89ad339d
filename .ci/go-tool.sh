# Programs and files of Go modules, into .tools. Sourced.

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.tools

# go_tool NAME PACKAGE VERSION: static; nothing is done when it is there.
# `go install PACKAGE@VERSION` refuses modules whose go.mod excludes or replaces others, as BuildKit's and buildx's do;
# as a requirement of a module of ours, they are built.
go_tool() {
  local name=$1 package=$2 version=$3 module
  if [ -x "$tools/bin/$name" ]; then return; fi
  module=$(mktemp -d)
  mkdir -p "$tools/bin"
  (
    cd "$module"
    export PATH=$PATH:/usr/local/go/bin GOFLAGS=-buildvcs=false CGO_ENABLED=0
    go mod init tool
    timeout 200 go get "$package@$version"
    timeout 400 go build -trimpath -ldflags '-s -w' -o "$tools/bin/$name" "$package"
  )
  rm -rf "$module"
}

# go_module_file TARGET MODULE VERSION PATH: one file of a module's source, below .tools.
go_module_file() {
  local target=$tools/$1 folder
  if [ -f "$target" ]; then return; fi
  mkdir -p "$(dirname "$target")"
  folder=$(cd / && PATH=$PATH:/usr/local/go/bin go mod download -json "$2@$3" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
  install -m 644 "$folder/$4" "$target"
}
