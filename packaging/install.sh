#!/bin/sh
# Install, upgrade or remove mini8s on this host.
#
#   sh install.sh [server|agent] [FLAGS OF mini8s server|agent…]    install, or upgrade what is there; then start it
#   sh install.sh uninstall [--keep-data]                           take all of it away (mini8s-uninstall does the same)
#
# It installs from files that lie beside it (or in INSTALL_MINI8S_FROM): mini8s, the single executable, or mini8s_*.deb, or
# mini8s-*.whl with the wheels that it needs. Other *.deb files there are installed where a package is missing, so that a
# folder is enough for a host without network. Run again it upgrades: flags that were given before stay unless new ones are.
#
#   INSTALL_MINI8S_FROM          folder, or one file, to install from
#   INSTALL_MINI8S_TYPE          binary, deb or wheel, where there are several (else in this order)
#   INSTALL_MINI8S_EXEC          the same as the arguments: "server --disable-agent"
#   INSTALL_MINI8S_BIN_DIR       /usr/local/bin
#   INSTALL_MINI8S_SYSTEMD_DIR   /etc/systemd/system
#   INSTALL_MINI8S_SKIP_START    true: install, and start nothing
#   INSTALL_MINI8S_SKIP_ENABLE   true: not at boot either
#   INSTALL_MINI8S_SKIP_DEPS     true: install no Debian packages (docker.io, nftables, iproute2)
#   INSTALL_MINI8S_HAPROXY       true: haproxy too, with which Ingresses are served
#   MINI8S_URL, MINI8S_TOKEN     an agent's --server and --token
#
# /etc/mini8s/config.yaml, /etc/default/mini8s-* and the data are the user's: they are never written.
set -eu

say() { printf '[mini8s] %s\n' "$*"; }
die() { printf '[mini8s] %s\n' "$*" >&2; exit 1; }
yes() { [ "${1:-}" = true ]; }
systemd() { [ -d /run/systemd/system ]; }
first() { for one in "$@"; do if [ -e "$one" ]; then printf '%s' "$one"; return 0; fi; done; return 1; }

BIN=${INSTALL_MINI8S_BIN_DIR:-/usr/local/bin}
UNITS=${INSTALL_MINI8S_SYSTEMD_DIR:-/etc/systemd/system}
HOME_OF_WHEELS=/usr/local/lib/mini8s
TOKEN_FILE=/etc/mini8s/join-token

choose_source() {
  beside=$(cd "$(dirname "$0")" && pwd)
  from=${INSTALL_MINI8S_FROM:-}
  if [ -z "$from" ]; then
    from=$beside
    for folder in "$beside" "$beside/../dist"; do
      if first "$folder/mini8s" "$folder"/mini8s_*.deb "$folder"/mini8s-*.whl >/dev/null; then from=$folder; break; fi
    done
  fi
  [ -e "$from" ] || die "$from does not exist"
  folder=$from; [ -d "$from" ] || folder=$(dirname "$from")
  case $from in
    *.deb) type=deb file=$from ;;
    *.whl) type=wheel file=$from ;;
    *) if [ -f "$from" ]; then type=binary file=$from; else choose_file; fi ;;
  esac
}

choose_file() {
  for type in ${INSTALL_MINI8S_TYPE:-binary deb wheel}; do
    case $type in
      binary) [ -f "$from/mini8s" ] && file=$from/mini8s && return ;;
      deb) file=$(first "$from"/mini8s_*.deb) && return ;;
      wheel) file=$(first "$from"/mini8s-*.whl) && return ;;
      *) die "INSTALL_MINI8S_TYPE is $type, not binary, deb or wheel" ;;
    esac
  done
  die "nothing to install in $from: put mini8s, mini8s_*.deb or mini8s-*.whl there (scripts/package makes them)"
}

# Debian packages whose program is missing: from the folder when it has them, else by apt.
install_packages() {
  missing=
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
  done
  [ -n "$missing" ] || return 0
  if first "$folder"/docker*.deb "$folder"/nftables*.deb "$folder"/iproute2*.deb "$folder"/haproxy*.deb >/dev/null; then
    say "Installing Debian packages from $folder"
    for deb in "$folder"/*.deb; do case $deb in */mini8s_*) ;; *) set -- "$@" "$deb" ;; esac; done
    debs=; for one in "$@"; do case $one in *.deb) debs="$debs $one" ;; esac; done
    # shellcheck disable=SC2086
    dpkg --install --skip-same-version $debs
    return
  fi
  command -v apt-get >/dev/null || die "please install these first (no apt-get here):$missing"
  say "Installing Debian packages:$missing"
  apt-get update -qq || say "apt-get update failed; going on with the lists that are there"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null
}

# A file takes another's place in one step: what runs keeps the old one.
put() {
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new.$$"
  chmod "$3" "$2.new.$$"
  mv -f "$2.new.$$" "$2"
}

install_program() {
  say "Installing $(basename "$file")"
  case $type in
    deb) dpkg --install "$file"; program=/usr/bin/mini8s; UNITS=/etc/systemd/system; return ;;
    binary) put "$file" "$BIN/mini8s" 755 ;;
    wheel)
      install_packages python3:python3
      python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages mini8s-no-venv:python3-venv
      [ -x "$HOME_OF_WHEELS/bin/python" ] || python3 -m venv "$HOME_OF_WHEELS"
      offline=; if [ "$(find "$folder" -name '*.whl' | wc -l)" -gt 1 ]; then offline=--no-index; fi
      # shellcheck disable=SC2086
      "$HOME_OF_WHEELS/bin/python" -m pip install --disable-pip-version-check -q --upgrade $offline --find-links "$folder" "$file"
      mkdir -p "$BIN"
      ln -sfn "$HOME_OF_WHEELS/bin/mini8s" "$BIN/mini8s"
      ;;
  esac
  program=$BIN/mini8s
  write_unit server
  write_unit agent
  uninstaller
  completions
}

# The units and the uninstaller are in the program, so that one file is enough.
write_unit() {
  "$program" unit "$1" >"$work/unit"
  put "$work/unit" "$UNITS/mini8s-$1.service" 644
}

uninstaller() {
  "$program" unit uninstall >"$work/uninstall"
  put "$work/uninstall" "$BIN/mini8s-uninstall" 755
}

# Where shells look for what an administrator installed: below the folder of the program, as /usr/local/share.
completions() {
  shells=$(dirname "$BIN")/share
  for pair in bash:bash-completion/completions/mini8s zsh:zsh/site-functions/_mini8s fish:fish/vendor_completions.d/mini8s.fish; do
    "$program" completion "${pair%%:*}" >"$work/completion"
    put "$work/completion" "$shells/${pair#*:}" 644
  done
}

# Flags become a drop-in that is ours alone. A token goes into a file of root's: command lines are everybody's to read.
write_flags() {
  words=
  while [ $# -gt 0 ]; do
    case $1 in
      --token) [ $# -gt 1 ] || die "--token needs a value"; MINI8S_TOKEN=$2; shift 2; continue ;;
      --token=*) MINI8S_TOKEN=${1#--token=}; shift; continue ;;
      *[\"\\%\$]*) die "$1: put a value with quotes, \\, % or \$ into /etc/mini8s/config.yaml" ;;
      *[!A-Za-z0-9_./:=,@+-]*) words="$words \"$1\"" ;;
      *) words="$words $1" ;;
    esac
    shift
  done
  if [ "$role" = agent ] && [ -n "${MINI8S_URL:-}" ]; then words="$words --server $MINI8S_URL"; fi
  if [ -n "${MINI8S_TOKEN:-}" ]; then
    mkdir -p "$(dirname "$TOKEN_FILE")"
    (umask 077; printf '%s\n' "$MINI8S_TOKEN" >"$TOKEN_FILE")
    words="$words --token-file $TOKEN_FILE"
  fi
  dropin=$UNITS/mini8s-$role.service.d/10-install.conf
  if [ -n "$words" ] || [ ! -e "$dropin" ]; then
    printf '# Written by install.sh.\n[Service]\nExecStart=\nExecStart=%s %s%s\n' "$program" "$role" "$words" >"$work/dropin"
    put "$work/dropin" "$dropin" 644
  fi
  start_command=$(sed -n 's/^ExecStart=\(..*\)/\1/p' "$dropin")
}

start() {
  if ! systemd; then
    say "systemd does not run here. Start it with: $start_command"
    return
  fi
  systemctl daemon-reload
  yes "${INSTALL_MINI8S_SKIP_ENABLE:-}" || systemctl enable -q "mini8s-$role.service"
  if yes "${INSTALL_MINI8S_SKIP_START:-}"; then return; fi
  systemctl start docker.service 2>/dev/null || true
  say "Starting mini8s-$role"
  systemctl restart --no-block "mini8s-$role.service"
}

main() {
  [ "$(id -u)" = 0 ] || die "this needs root: run it with sudo"
  # shellcheck disable=SC2086
  [ $# -gt 0 ] || set -- ${INSTALL_MINI8S_EXEC:-}
  role=${1:-}
  case $role in
    uninstall) shift; PATH=$PATH:$BIN exec mini8s-uninstall "$@" ;;
    server | agent) shift ;;
    "" | -*) role=server; if [ -n "${MINI8S_URL:-}" ]; then role=agent; fi ;;
    *) die "the first argument is server, agent or uninstall, not $role" ;;
  esac
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  choose_source
  if ! yes "${INSTALL_MINI8S_SKIP_DEPS:-}"; then
    install_packages dockerd:docker.io nft:nftables ip:iproute2 mkfs.ext4:e2fsprogs
    if yes "${INSTALL_MINI8S_HAPROXY:-}"; then install_packages haproxy:haproxy; fi
  fi
  install_program
  write_flags "$@"
  start
  say "$("$program" --version) is installed as $program; mini8s-uninstall takes it away again"
}

main "$@"
