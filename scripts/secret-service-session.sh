#!/bin/sh
# Runs a command inside a D-Bus session of its own, with a real Secret Service (GNOME Keyring) in it:
#
#   scripts/secret-service-session.sh cargo test -p provider-auth-vault --test secret_service
#
# The keyring is new, unlocked, and gone afterwards. SECRET_SERVICE_PASSWORD sets its password. Inside,
# PROVIDER_AUTH_TEST_SECRET_SERVICE is 1 and SECRET_SERVICE_PID is the service's process.
# Needs gnome-keyring, dbus and dbus-bin (Debian's names); no display.
set -eu

for tool in dbus-run-session dbus-send gnome-keyring-daemon; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is missing: apt-get install -y --no-install-recommends gnome-keyring dbus dbus-bin" >&2
    exit 2
  fi
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -m 700 "$scratch/data" "$scratch/run"

unset DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS
export XDG_DATA_HOME="$scratch/data" XDG_RUNTIME_DIR="$scratch/run"
export SECRET_SERVICE_PASSWORD="${SECRET_SERVICE_PASSWORD-test}" PROVIDER_AUTH_TEST_SECRET_SERVICE=1

dbus-run-session -- sh -eu -c '
  bus() {
    dbus-send --session --print-reply --dest=org.freedesktop.DBus / "org.freedesktop.DBus.$1" string:org.freedesktop.secrets
  }

  printf %s "$SECRET_SERVICE_PASSWORD" | gnome-keyring-daemon --daemonize --unlock --components=secrets >/dev/null 2>&1

  # Only the bus is asked: a call to the service itself would start a second, locked one.
  tries=0
  until bus NameHasOwner | grep -q "boolean true"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then
      echo "the Secret Service did not start within 10 s" >&2
      exit 2
    fi
    sleep 0.1
  done

  SECRET_SERVICE_PID=$(bus GetConnectionUnixProcessID | sed -n "s/^ *uint32 //p")
  export SECRET_SERVICE_PID
  # A test may have stopped it.
  trap "kill -CONT $SECRET_SERVICE_PID; kill $SECRET_SERVICE_PID" EXIT
  "$@"
' sh "$@"
