#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Seals every model of a folder under one MEK, as one set, and binds each to the cards of one host, without a
# terminal. After an interruption of any kind the same command goes on: what is done is skipped.
#
#   pipeline.sh MODELS MEK HOST DEVICES PORT WORK PIN-FILE
#
# MODELS: a folder of *.qpc files. DEVICES: 0-3. WORK: a folder of this script's own, one for each answer of the
# cards. PIN-FILE: mode 0600; it is read by a descriptor, once for all commands of a step.
#
# Where the policy asks for officers: run it; it stops when the cards have answered. Make one request for the set and
# one for the release ('qpcseal request new seal --mek MEK --qpc MODELS', 'request new release --mek MEK --report
# WORK/requests'), have both signed, put the files into the two variables below, and run it again. After a release
# that was denied the answers are used up: begin with another WORK.
seal_approval=     # --request seal.req --approval anna-seal.sig --approval bela-seal.sig
release_approval=  # --request release.req --approval anna-release.sig --approval bela-release.sig
set -eu
[ $# -eq 7 ] || { sed -n '3,14p' "$0" >&2; exit 2; }
models=$1 mek=$2 host=$3 devices=$4 port=$5 work=$6 pin=$7
mkdir -p "$work"

# line ID WORD...: one command of `qpcseal run`.
line() {
  printf '{"id":"%s","command":[' "$1"
  shift
  comma=
  for word; do
    case $word in *[\"\\]*) echo "pipeline: a quote or backslash in '$word'" >&2; exit 2 ;; esac
    printf '%s"%s"' "$comma" "$word"
    comma=,
  done
  printf ']}\n'
}

# 1. Challenges for the cards, and their answers.
line "" attest request --mek "$mek" --host "$host" --device "$devices" --port "$port" -o "$work/requests" >"$work/1.jsonl"
qpcseal run "$work/1.jsonl" --journal "$work/1.journal" --pin-fd 3 3<"$pin" >>"$work/results.jsonl"
[ -e "$work/answered" ] || { qpcseal-attest --batch "$work/requests/batch"; touch "$work/answered"; }

# 2. The MEK for each card, once; then the models. A changed or added model changes `state`, and with it the lines:
#    they run again, and encrypt-model says which model is not the one that was sealed. A kill between a command's end
#    and its note in the journal makes the command run again: --skip-existing and --force count with that.
state=$(cd "$models" && find . -type f -printf '%p %s %T@\n' | LC_ALL=C sort | sha256sum | cut -c1-64)
{
  # The lists of words have no blanks in them.
  # shellcheck disable=SC2086
  line "" wrap-mek --mek "$mek" --pub-keys "$work/requests" --output-dir "$work/wrapped" $release_approval
  # shellcheck disable=SC2086
  line "$state" encrypt-model --qpc "$models" --mek "$mek" --output-dir "$work/sealed" --skip-existing $seal_approval
  line "$state" replace-mek --encrypted-qpc "$work/sealed" --wrapped-meks "$work/wrapped" --output-dir "$work/bound" --force
} >"$work/2.jsonl"
qpcseal run "$work/2.jsonl" --journal "$work/2.journal" --pin-fd 3 3<"$pin" >>"$work/results.jsonl"
echo "done: $work/bound"
