#!/bin/sh
# Prepares a Debian system to run vcpd: an init that reaps, and a user of its own with the state folder.
set -eu
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends tini
rm -rf /var/lib/apt/lists/*
groupadd --system --gid 787 vcpd
useradd --system --uid 787 --gid vcpd --home-dir /var/lib/vcpd --shell /usr/sbin/nologin vcpd
install -d -m 0700 -o vcpd -g vcpd /var/lib/vcpd
