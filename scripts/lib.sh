# What the scripts share: where things are, and how what is missing gets installed. Sourced, never run.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv

# PROGRAM:PACKAGE, a program that tells whether the Debian package is there
RUN_PACKAGES=(dockerd:docker.io containerd:containerd nft:nftables busybox:busybox-static ip:iproute2 curl:curl mkfs.ext4:e2fsprogs)
TEST_PACKAGES=(busctl:systemd dbus-daemon:dbus-daemon kubectl:kubernetes-client sysctl:procps nsenter:util-linux conntrack:conntrack dig:dnsutils docker-registry:docker-registry openssl:openssl haproxy:haproxy faketime:faketime)

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root: run it with sudo"; }

# Install the Debian packages among PROGRAM:PACKAGE… whose program is missing; asks apt for nothing when none is.
install_packages() {
  local pair missing=()
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "please install these first (no apt-get here): ${missing[*]}"
  need_root "installing ${missing[*]}"
  say "Installing Debian packages: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null </dev/null
}

# The first Python that is new enough and can make virtual environments.
find_python() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  return 1
}

# Install Python where there is none.
install_python() {
  find_python >/dev/null || install_packages "mini8s-no-python:python3" "mini8s-no-venv:python3-venv"
}

require_python() { find_python || die "Python 3.11 or newer with its venv module is needed (python3, python3-venv)"; }

# The checkout's virtual environment with mini8s in it; $1 is the extra to install ("" or "test"). Nothing is fetched when
# what setup.cfg asks for is there already.
make_venv() {
  local extra=$1 wanted stamp stamps=("$VENV/.mini8s-test")
  [ -n "$extra" ] || stamps+=("$VENV/.mini8s-run")   # what the tests need is more than what a run needs
  install_python
  require_python >/dev/null
  wanted=$(cat "$ROOT/setup.cfg" "$ROOT/pyproject.toml" | sha256sum)
  for stamp in "${stamps[@]}"; do
    if [ -x "$VENV/bin/mini8s" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return 0; fi
  done
  if [ ! -x "$VENV/bin/python" ]; then
    say "Making a Python environment in .venv"
    "$(find_python)" -m venv "$VENV"
  fi
  say "Installing mini8s${extra:+ with what its tests need} into .venv"
  "$VENV/bin/python" -m pip install --disable-pip-version-check -e "$ROOT${extra:+[$extra]}" \
    </dev/null >"$VENV/install.log" 2>&1 || { tail -n 20 "$VENV/install.log" >&2; die "pip failed (.venv/install.log)"; }
  "$VENV/bin/python" -m compileall -q "$ROOT/mini8s"   # an editable install leaves it to the first start
  echo "$wanted" >"$stamp"
}
