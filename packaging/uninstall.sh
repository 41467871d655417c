#!/bin/sh
# mini8s-uninstall: end mini8s and its pods on this host, and take away all that it made. --keep-data leaves /var/lib/mini8s
# and /etc/mini8s. Packages that were installed for it (Docker, nftables) stay: others may use them.
set -u
keep=
case ${1:-} in
  "") ;;
  --keep-data) keep=--keep-data ;;
  *) echo "usage: mini8s-uninstall [--keep-data]" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "mini8s-uninstall needs root: run it with sudo" >&2; exit 1; }

data=${MINI8S_DATA_DIR:-/var/lib/mini8s}
units=${INSTALL_MINI8S_SYSTEMD_DIR:-/etc/systemd/system}
services="mini8s-server.service mini8s-agent.service"
systemd() { [ -d /run/systemd/system ]; }

# shellcheck disable=SC2086
if systemd; then systemctl disable --now $services 2>/dev/null; fi
program=$(command -v mini8s) || { echo "mini8s-uninstall: there is no mini8s here" >&2; exit 1; }
"$program" reset --yes $keep || exit 1

if [ "$(dpkg-query -W -f '${db:Status-Status}' mini8s 2>/dev/null)" = installed ]; then
  if [ -n "$keep" ]; then dpkg --remove mini8s; else dpkg --purge mini8s; fi
else
  for unit in $services; do rm -rf "$units/$unit" "$units/$unit.d" "$units/multi-user.target.wants/$unit"; done
  bin=$(dirname "$program")
  rm -f "$bin/mini8s" "$bin/mini8s-uninstall"
  shells=$(dirname "$bin")/share
  for name in bash-completion/completions/mini8s zsh/site-functions/_mini8s fish/vendor_completions.d/mini8s.fish; do
    rm -f "$shells/$name"
    (cd "$shells" 2>/dev/null && rmdir -p "$(dirname "$name")" 2>/dev/null)
  done
  rm -rf /usr/local/lib/mini8s "${MINI8S_PROGRAM_DIR:-/var/lib/mini8s/program}"
  rmdir /var/lib/mini8s 2>/dev/null
  if [ -z "$keep" ]; then rm -rf "$data" /etc/mini8s; fi
  if systemd; then systemctl daemon-reload; fi
fi
if [ -z "$keep" ]; then rm -rf /etc/systemd/system/mini8s-server.service.d /etc/systemd/system/mini8s-agent.service.d; fi
echo "mini8s is gone${keep:+, its data stays in $data and /etc/mini8s}"
