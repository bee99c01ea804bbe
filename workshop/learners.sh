#!/bin/sh
# A system user for each name, with a home that is closed to others; prints the passwords, to cut up and hand out:
#   sudo sh workshop/learners.sh ada grace emmy
set -eu
groupadd --force learners
groupadd --force instructors
for name; do
    if id "$name" >/dev/null 2>&1; then
        echo "$name is a user already: left as it is" >&2
        continue
    fi
    password=$(head -c 9 /dev/urandom | base64 | tr '+/' 'xy')
    useradd --create-home --key HOME_MODE=0700 --shell /bin/bash --groups learners "$name"
    printf '%s:%s\n' "$name" "$password" | chpasswd
    printf '%-16s %s\n' "$name" "$password"
done
